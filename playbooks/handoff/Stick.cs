// Diagnose, repair, verify on the PC at which somebody stands, as the controller does it over the
// network (engine/src/machine/): the same scripts, the same decisions, the same order. What happened
// is written down for `fleetmend handoff import`, which judges it again.
namespace Fleetmend.Handoff
{
    // Says something to the person.
    public delegate void Tell(string text);

    // Asks the person a question whose answer is yes or no.
    public delegate bool Ask(string question);

    // Asks the person for a domain account; null: there is none.
    public delegate NetworkCredential AskAccount(string question);

    public sealed class Stick
    {
        private const string Format = "fleetmend-handoff-result/1";
        private readonly IDictionary<string, object> stick;
        private readonly IDictionary<string, string> scripts;
        private readonly Decider decider;
        private readonly List<object> story = new List<object>();
        private readonly Situation situation = new Situation();
        private readonly string language;
        private IDictionary<string, object> pc;
        private IDictionary<string, object> facts = Json.Object();
        private NetworkCredential account;
        private string accountFor;
        private bool changed;
        // The step that is changing the PC at this moment.
        private string changing;
        private bool stale;
        private string last;
        private bool lastProving;
        private SortedDictionary<string, object> lastAnswers = Json.Object();
        private IDictionary<string, object> lastEvidence;

        public Tell OnTell;
        public Ask OnAsk;
        public AskAccount OnAskAccount;
        // How PowerShell is started; a test has a stand-in.
        public string Program = "powershell.exe";
        public string Arguments;
        // A test does not wait.
        public double PauseScale = 1;
        // How it ended, in a word, and what the person should know.
        public string Outcome = "";
        public string Reason = "";
        public string Next = "";

        public Stick(string description, IDictionary<string, string> scripts, string language)
        {
            stick = Decider.Map(Json.Parse(description));
            if ((string)stick["format"] != "fleetmend-handoff/1") { throw new EvaluationException("not a description of a stick"); }
            this.scripts = scripts;
            this.language = language == "ja" ? "ja" : "en";
            decider = new Decider(Decider.Map(stick["playbook"]));
            situation.Language = this.language;
        }

        // Compares every script with what the controller put on the stick: a stick may be bad.
        public List<string> Damaged()
        {
            List<string> bad = new List<string>();
            foreach (KeyValuePair<string, object> each in Decider.Map(stick["scripts"]))
            {
                string text;
                bool there = scripts.TryGetValue(each.Key, out text);
                if (!there || Digest(text) != (string)each.Value) { bad.Add(each.Key); }
            }
            return bad;
        }

        public static string Digest(string text)
        {
            using (SHA256 hash = SHA256.Create()) { return Channel.Hex(hash.ComputeHash(new UTF8Encoding(false).GetBytes(text))); }
        }

        // The start of the step channel, as start.rs makes it.
        public static string ChannelArguments(string switches, string bootstrap)
        {
            return switches + Convert.ToBase64String(Encoding.Unicode.GetBytes(bootstrap));
        }

        public List<string> Pcs()
        {
            List<string> all = new List<string>();
            foreach (object each in Decider.List(stick["pcs"])) { all.Add((string)Decider.Map(each)["name"]); }
            return all;
        }

        // Chooses the PC of the run that this one is: by the name that the person gives, else by its own.
        public bool Choose(string given, string computer)
        {
            pc = null;
            foreach (object each in Decider.List(stick["pcs"]))
            {
                IDictionary<string, object> one = Decider.Map(each);
                // PowerShell hands a string that is null over as an empty one.
                bool is_it = !string.IsNullOrEmpty(given)
                    ? string.Equals((string)one["name"], given, StringComparison.OrdinalIgnoreCase)
                    : Decider.List(Decider.Map(one["host"])["names"]).Contains(computer.ToLowerInvariant());
                if (!is_it) { continue; }
                // Two that may be it are none.
                if (pc != null) { pc = null; return false; }
                pc = one;
            }
            if (pc == null) { return false; }
            situation.Host = Decider.Map(pc["host"]);
            situation.Parameters = Decider.Map(pc["params"]);
            return true;
        }

        public string Name { get { return pc == null ? "" : (string)pc["name"]; } }

        private string Both(string en, string ja) { return language == "ja" ? ja : en; }

        private string Localized(object words) { return (string)Decider.Map(words)[language]; }

        private static string Now()
        {
            return DateTime.UtcNow.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        }

        private void Note(SortedDictionary<string, object> what)
        {
            what["at"] = Now();
            story.Add(what);
        }

        private static SortedDictionary<string, object> Event(string what)
        {
            SortedDictionary<string, object> made = Json.Object();
            made["what"] = what;
            return made;
        }

        // Runs everything and returns the text of the result's file.
        public string Run(string computer, string by)
        {
            string began = Now();
            using (Channel channel = new Channel(Program, Arguments))
            {
                try { Work(channel); }
                catch (EvaluationException error) { End("needs-hands", "the playbook could not be followed: " + error.Message, ""); }
                catch (JsonException error) { End("needs-hands", "an answer could not be read: " + error.Message, ""); }
                // Whatever else it is: what was done must be in the result.
                catch (Exception error) { Broken(error); }
            }
            SortedDictionary<string, object> body = Json.Object();
            body["run"] = stick["run"];
            body["digest"] = stick["digest"];
            body["host"] = Name;
            body["computer"] = computer;
            body["by"] = by;
            body["began"] = began;
            body["ended"] = Now();
            body["credential_for"] = account == null ? null : accountFor;
            body["story"] = story;
            body["outcome"] = Outcome;
            body["reason"] = Reason;
            body["next"] = Next;
            string text = Json.Write(body);
            SortedDictionary<string, object> head = Json.Object();
            head["format"] = Format;
            head["stick"] = stick["stick"];
            head["seal"] = Seal(text);
            string before = Json.Write(head);
            return before.Substring(0, before.Length - 1) + ",\"body\":" + text + "}\n";
        }

        private string Seal(string text)
        {
            string key = (string)stick["seal"];
            byte[] bytes = new byte[key.Length / 2];
            for (int i = 0; i < bytes.Length; i++)
            {
                bytes[i] = byte.Parse(key.Substring(2 * i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            }
            using (HMACSHA256 hash = new HMACSHA256(bytes)) { return Channel.Hex(hash.ComputeHash(Encoding.ASCII.GetBytes(text))); }
        }

        // Ends amid the work. If the PC was changed, or a step that changes it is not known to have
        // ended, nobody knows how it stands.
        private void Broken(Exception error)
        {
            string what = error.GetType().FullName + ": " + error.Message;
            string again = Both("Start the script again.", "スクリプトをもう一度実行してください。");
            if (changed || changing != null) { End("unknown(" + (changing ?? last ?? "internal-error") + ")", what, again); }
            else { End("needs-hands(internal-error)", what, again); }
        }

        private void End(string outcome, string reason, string next)
        {
            Outcome = outcome;
            Reason = reason;
            Next = next;
        }

        private void Work(Channel channel)
        {
            OnTell(Both("Looking at the PC; this takes up to a few minutes.", "PC を調べています。数分かかることがあります。"));
            if (!Diagnose(channel)) { return; }
            while (true)
            {
                Decision decision = decider.Decide(facts, situation);
                if (decision.Kind == "healthy")
                {
                    Healthy(channel);
                    return;
                }
                if (decision.Kind != "try" && GivenAccount(decision)) { continue; }
                if (decision.Kind != "try")
                {
                    string end = decision.Kind == "blocked" ? "blocked(" + decision.Guard + ")" : decision.Kind + "(" + decision.Cause + ")";
                    End(end, decision.Reason, decision.Next);
                    return;
                }
                IDictionary<string, object> rung = decider.Rung(decision.Rung);
                if (rung["left_out"] != null)
                {
                    End("blocked(not-from-stick)", Localized(rung["summary"]),
                        Both("This repair is not possible from the stick; follow the printed page.", "この修復は USB からは実行できません。印刷した手順に従ってください。"));
                    return;
                }
                if (!OnAsk(Both("Next: ", "次の作業: ") + Localized(rung["summary"]) + Caution(rung)))
                {
                    End("skipped(declined)", Both("The repair was declined.", "修復は実行されませんでした。"), "");
                    return;
                }
                if (!Climb(channel, rung)) { return; }
                if (stale && !Diagnose(channel)) { return; }
            }
        }

        private string Caution(IDictionary<string, object> rung)
        {
            return rung["caution"] == null ? "" : "\n" + Localized(rung["caution"]);
        }

        // Asks for a domain account where only that is missing, once.
        private bool GivenAccount(Decision decision)
        {
            if (accountFor != null || (decision.Kind != "blocked" && decision.Kind != "not-repaired")) { return false; }
            string wanted = decider.WantsCredential(decision.Cause, situation);
            if (wanted == null) { return false; }
            accountFor = wanted;
            account = OnAskAccount(Both(
                "The further repair needs a domain account that may reset the passwords of computer accounts. It is used on this PC now, and is written down nowhere.",
                "これ以降の修復には、コンピューター アカウントのパスワードをリセットできるドメイン アカウントが必要です。この PC で今だけ使用され、保存されません。"));
            if (account == null) { return false; }
            situation.Credentials.Add(wanted);
            situation.CredentialsForPcs.Add(wanted);
            situation.Parameters = new SortedDictionary<string, object>(situation.Parameters, StringComparer.Ordinal);
            situation.Parameters[wanted] = stick["credential"];
            return true;
        }

        private bool Diagnose(Channel channel)
        {
            IDictionary<string, object> step = Decider.Map(decider.Playbook["diagnose"]);
            Reply reply = Do(channel, "diagnose", null, step, Json.Object());
            stale = false;
            if (reply.End == "answered" && reply.Answer is IDictionary<string, object>)
            {
                facts = Decider.Map(reply.Answer);
                Decision decision = decider.Decide(facts, situation);
                SortedDictionary<string, object> cause = Json.Object();
                cause["id"] = decision.Kind == "healthy" ? "healthy" : decision.Cause;
                if (decision.Code != null) { cause["code"] = decision.Code; }
                SortedDictionary<string, object> what = Event("diagnosed");
                what["cause"] = cause;
                Note(what);
                OnTell(Both("Found: ", "診断結果: ") + Json.Write(cause["id"]).Trim('"'));
                return true;
            }
            Lost("diagnose-failed", step, reply);
            return false;
        }

        private void Lost(string why, IDictionary<string, object> step, Reply reply)
        {
            string code = reply.Code == null ? "" : " (" + Values.Show(reply.Code) + ")";
            string name = (string)step["name"];
            if (reply.End == "unknown") { End("unknown(" + name + ")", reply.Words, Both("Start the script again.", "スクリプトをもう一度実行してください。")); }
            else { End("needs-hands(" + why + ")", name + ": " + reply.Words + code, ""); }
        }

        // Runs one step of the playbook and writes down its beginning and its end.
        private Reply Do(Channel channel, string phase, string rung, IDictionary<string, object> step, IDictionary<string, object> seen)
        {
            SortedDictionary<string, object> parameters = decider.ParametersOf(step, seen, situation);
            foreach (KeyValuePair<string, object> secret in Decider.Map(step["secrets"]))
            {
                if (account == null || !situation.CredentialsForPcs.Contains((string)secret.Value))
                {
                    parameters[secret.Key] = null;
                    continue;
                }
                SortedDictionary<string, object> given = Json.Object();
                given["user"] = account.Domain.Length > 0 ? account.Domain + "\\" + account.UserName : account.UserName;
                given["password"] = account.Password;
                parameters[secret.Key] = given;
            }
            SortedDictionary<string, object> reference = Json.Object();
            reference["phase"] = phase;
            if (rung != null) { reference["rung"] = rung; }
            reference["step"] = step["name"];
            SortedDictionary<string, object> started = Event("step-started");
            started["step"] = reference;
            started["changes"] = step["changes"];
            Note(started);
            if ((bool)step["changes"]) { changing = (string)step["name"]; }
            Stopwatch clock = Stopwatch.StartNew();
            Reply reply = channel.Run(scripts[(string)step["script"]], Json.Write(parameters), (long)step["deadline_ms"]);
            parameters = null;
            SortedDictionary<string, object> end = Json.Object();
            end["end"] = reply.End;
            if (reply.End == "answered") { end["answer"] = reply.Answer; }
            else if (reply.End == "failed")
            {
                end["error_id"] = reply.ErrorId;
                end["code"] = reply.Code;
                end["message"] = reply.Words;
            }
            else { end["reason"] = reply.Words; }
            SortedDictionary<string, object> ended = Event("step-ended");
            ended["step"] = reference;
            ended["end"] = end;
            ended["elapsed_ms"] = clock.ElapsedMilliseconds;
            Note(ended);
            changing = null;
            if ((bool)step["changes"] && reply.End != "not-run")
            {
                changed = true;
                stale = true;
            }
            return reply;
        }

        // Runs a rung and its verify. False: the PC's end is known.
        private bool Climb(Channel channel, IDictionary<string, object> rung)
        {
            string id = (string)rung["id"];
            situation.Tried.Add(id);
            SortedDictionary<string, object> answers = Json.Object();
            situation.Answers = answers;
            last = id;
            lastAnswers = answers;
            lastEvidence = null;
            lastProving = false;
            SortedDictionary<string, object> started = Event("rung-started");
            started["rung"] = id;
            if (rung["caution"] != null) { started["caution"] = Localized(rung["caution"]); }
            Note(started);
            bool stopped = false;
            foreach (object each in Decider.List(rung["steps"]))
            {
                IDictionary<string, object> step = Decider.Map(each);
                string name = (string)step["name"];
                if (!decider.Wanted(step, facts, situation))
                {
                    SortedDictionary<string, object> reference = Json.Object();
                    reference["phase"] = "repair";
                    reference["rung"] = id;
                    reference["step"] = name;
                    SortedDictionary<string, object> skipped = Event("step-skipped");
                    skipped["step"] = reference;
                    Note(skipped);
                    answers[name] = null;
                    continue;
                }
                Reply reply = Do(channel, "repair", id, step, facts);
                if (reply.End == "answered") { answers[name] = reply.Answer; }
                long refused = Decider.Map(step["secrets"]).Count > 0 ? Decider.RefusedCredential(reply.Answer) : 0;
                if (refused != 0)
                {
                    RungEnded(id, false);
                    End("blocked(credential-refused)", Both("The domain refused the account", "ドメインがアカウントを拒否しました") + " (" + refused + ")",
                        Both("Check account and password before you try again: a further attempt may lock it.", "再試行するとロックされる恐れがあります。アカウントとパスワードを確認してください。"));
                    return false;
                }
                if (reply.End == "answered") { continue; }
                stopped = true;
                if (reply.End == "failed") { break; }
                RungEnded(id, false);
                Lost("step-failed", step, reply);
                return false;
            }
            if (stopped)
            {
                RungEnded(id, false);
                return true;
            }
            return Verify(channel, id);
        }

        private void RungEnded(string id, bool verified)
        {
            SortedDictionary<string, object> what = Event("rung-ended");
            what["rung"] = id;
            what["verified"] = verified;
            Note(what);
        }

        // False: the PC's end is known.
        private bool Verify(Channel channel, string id)
        {
            IDictionary<string, object> verify = Decider.Map(decider.Playbook["verify"]);
            IDictionary<string, object> step = Decider.Map(verify["step"]);
            Verdict verdict = null;
            for (long attempt = 0; attempt < (long)verify["attempts"]; attempt++)
            {
                if (attempt > 0) { Thread.Sleep((int)((long)verify["pause_ms"] * PauseScale)); }
                Reply reply = Do(channel, "verify", id, step, facts);
                if (reply.End == "unknown" || reply.End == "not-run")
                {
                    RungEnded(id, false);
                    Lost("verify-failed", step, reply);
                    return false;
                }
                lastEvidence = reply.Answer as IDictionary<string, object>;
                if (lastEvidence == null) { continue; }
                verdict = decider.Judge(lastEvidence, facts, situation);
                if (verdict.Kind != "not-proven" || !verdict.Again) { break; }
            }
            bool proven = verdict != null && verdict.Kind == "proven";
            RungEnded(id, proven);
            if (proven)
            {
                End("repaired(" + id + ")", "", "");
                return false;
            }
            if (verdict != null && verdict.Kind == "reboot-pending")
            {
                End("reboot-pending", Both("A restart finishes the repair.", "再起動すると修復が完了します。"),
                    Both("Restart the PC, then start the script again.", "PC を再起動してから、スクリプトをもう一度実行してください。"));
                return false;
            }
            if (verdict != null) { OnTell(Both("Not proven: ", "修復を確認できません: ") + verdict.Reason); }
            return true;
        }

        // Diagnose finds nothing: a PC that was changed is well only if verify says so, too.
        private void Healthy(Channel channel)
        {
            if (!changed || last == null)
            {
                End("healthy", "", "");
                return;
            }
            if (!lastProving)
            {
                lastProving = true;
                situation.Answers = lastAnswers;
                if (!Verify(channel, last)) { return; }
            }
            End("not-repaired", Both("Diagnose finds nothing wrong any more, but verify did not prove the repair.", "診断では異常がなくなりましたが、修復を検証できませんでした。"),
                Both("Start the script again in a few minutes.", "数分後にスクリプトをもう一度実行してください。"));
        }
    }
}
