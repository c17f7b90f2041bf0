// Facts to cause, cause to the next rung or a refusal: as playbooks/src/decision.rs does it, over
// the playbook as data (playbooks/src/handoff.rs). No clock, no process.
namespace Fleetmend.Handoff
{
    // What the decision knows beside the facts.
    public sealed class Situation
    {
        public IDictionary<string, object> Parameters = Json.Object();
        public IDictionary<string, object> Host = Json.Object();
        public IDictionary<string, object> Answers = Json.Object();
        public List<string> Tried = new List<string>();
        public List<string> Credentials = new List<string>();
        public List<string> CredentialsForPcs = new List<string>();
        public bool Directory;
        public bool OfflineJoin;
        public string Language = "en";
    }

    public sealed class Decision
    {
        // healthy, try, blocked, not-repaired, skip, access-denied, needs-hands
        public string Kind;
        public string Cause;
        public object Code;
        public string Rung;
        public string Guard;
        public string Reason = "";
        public string Next = "";
    }

    public sealed class Verdict
    {
        // proven, reboot-pending, not-proven
        public string Kind;
        public string Fails;
        public string Reason = "";
        public bool Again;
    }

    public sealed class Decider
    {
        private static readonly long[] Refused = { 1326, 1327, 1330, 1331, 1385, 1907, 1909 };
        public readonly IDictionary<string, object> Playbook;

        public Decider(IDictionary<string, object> playbook) { Playbook = playbook; }

        public static IDictionary<string, object> Map(object value) { return (IDictionary<string, object>)value; }

        public static List<object> List(object value) { return (List<object>)value; }

        public IDictionary<string, object> Rung(string id)
        {
            foreach (object each in List(Playbook["rungs"])) { if ((string)Map(each)["id"] == id) { return Map(each); } }
            throw new EvaluationException("no such rung: " + id);
        }

        // The Win32 code with which the domain refused the credential that a step was given, else 0.
        public static long RefusedCredential(object answer)
        {
            IDictionary<string, object> members = answer as IDictionary<string, object>;
            object code;
            if (members == null || !members.TryGetValue("credential_error", out code) || !(code is long)) { return 0; }
            return Array.IndexOf(Refused, (long)code) >= 0 ? (long)code : 0;
        }

        private static IDictionary<string, object> WithDirectory(IDictionary<string, object> value, bool consult)
        {
            if (!consult || value.ContainsKey("directory")) { return value; }
            SortedDictionary<string, object> made = new SortedDictionary<string, object>(value, StringComparer.Ordinal);
            made["directory"] = null;
            return made;
        }

        private static IDictionary<string, object> Before(Situation situation)
        {
            SortedDictionary<string, object> scope = Json.Object();
            scope["params"] = situation.Parameters;
            scope["host"] = situation.Host;
            scope["answers"] = situation.Answers;
            return scope;
        }

        private IDictionary<string, object> Scope(IDictionary<string, object> facts, Situation situation, bool terms)
        {
            IDictionary<string, object> scope = Before(situation);
            scope["facts"] = WithDirectory(facts, (bool)Playbook["consult"]);
            if (terms)
            {
                foreach (object each in List(Playbook["terms"]))
                {
                    scope[(string)List(each)[0]] = Evaluator.Evaluate(List(each)[1], scope);
                }
            }
            return scope;
        }

        public Decision Decide(IDictionary<string, object> facts, Situation situation)
        {
            IDictionary<string, object> scope = Scope(facts, situation, true);
            foreach (object each in List(Playbook["causes"]))
            {
                IDictionary<string, object> rule = Map(each);
                if (!Evaluator.Holds(rule["when"], scope)) { continue; }
                Decision decision = new Decision();
                decision.Cause = (string)rule["id"];
                string kind = (string)rule["kind"];
                if (kind == "healthy") { decision.Kind = "healthy"; return decision; }
                decision.Code = rule["code"] == null ? null : Evaluator.Defined(rule["code"], scope);
                if (decision.Code != null && !(decision.Code is long)) { throw new EvaluationException("a code is not a whole number"); }
                if (kind == "fault" && Climb(decision, scope, situation)) { return decision; }
                decision.Kind = kind == "fault" ? "not-repaired" : kind;
                decision.Reason = Text(rule["reason"], scope, situation);
                decision.Next = Text(rule["next"], scope, situation);
                return decision;
            }
            throw new EvaluationException("no cause fits");
        }

        private static string Text(object localized, IDictionary<string, object> scope, Situation situation)
        {
            return Evaluator.Render(Map(localized)[situation.Language], scope);
        }

        private bool Climb(Decision decision, IDictionary<string, object> scope, Situation situation)
        {
            bool hindered = false;
            foreach (object each in List(Playbook["rungs"]))
            {
                IDictionary<string, object> rung = Map(each);
                if (!List(rung["causes"]).Contains(decision.Cause) || situation.Tried.Contains((string)rung["id"])) { continue; }
                if (rung["when"] != null && !Evaluator.Holds(rung["when"], scope)) { continue; }
                // What no option lifts is told before a restart that is not made from here.
                Decision restart = Restart(rung, situation);
                Decision hindrance = restart == null
                    ? Lack(rung, situation) ?? Forbidden(rung, scope, situation)
                    : Forbidden(rung, scope, situation) ?? restart;
                if (hindrance == null)
                {
                    decision.Kind = "try";
                    decision.Rung = (string)rung["id"];
                    decision.Guard = null;
                    decision.Reason = "";
                    decision.Next = "";
                    return true;
                }
                if (hindered) { continue; }
                hindered = true;
                decision.Kind = "blocked";
                decision.Guard = hindrance.Guard;
                decision.Reason = hindrance.Reason;
                decision.Next = hindrance.Next;
            }
            return hindered;
        }

        private static Decision Lack(IDictionary<string, object> rung, Situation situation)
        {
            foreach (object each in List(rung["needs"]))
            {
                IDictionary<string, object> need = Map(each);
                string name = (string)need["name"];
                object lack = null;
                switch ((string)need["kind"])
                {
                    case "credential-on-pc":
                        if (!situation.Credentials.Contains(name)) { lack = need["unset"]; }
                        else if (!situation.CredentialsForPcs.Contains(name)) { lack = need["kept"]; }
                        break;
                    case "credential":
                        if (!situation.Credentials.Contains(name)) { lack = need["unset"]; }
                        break;
                    case "parameter":
                    {
                        object value;
                        if (!situation.Parameters.TryGetValue(name, out value) || value == null) { lack = need["unset"]; }
                        break;
                    }
                    case "directory": if (!situation.Directory) { lack = need["unset"]; } break;
                    case "offline-join": if (!situation.OfflineJoin) { lack = need["unset"]; } break;
                    default: lack = need["unset"]; break;
                }
                if (lack != null) { return Hindrance(lack, situation); }
            }
            return null;
        }

        // Returns that a rung restarts the PC, if it does: none is made from here.
        private static Decision Restart(IDictionary<string, object> rung, Situation situation)
        {
            foreach (object need in List(rung["needs"]))
            {
                if ((string)Map(need)["kind"] == "restart") { return Hindrance(Map(need)["unset"], situation); }
            }
            return null;
        }

        private static Decision Hindrance(object words, Situation situation)
        {
            Decision hindrance = new Decision();
            hindrance.Guard = (string)Map(words)["guard"];
            hindrance.Reason = (string)Map(Map(words)["reason"])[situation.Language];
            hindrance.Next = (string)Map(Map(words)["next"])[situation.Language];
            return hindrance;
        }

        private static Decision Forbidden(IDictionary<string, object> rung, IDictionary<string, object> scope, Situation situation)
        {
            foreach (object each in List(rung["guards"]))
            {
                IDictionary<string, object> guard = Map(each);
                if (Evaluator.Holds(guard["require"], scope)) { continue; }
                Decision hindrance = new Decision();
                hindrance.Guard = (string)guard["name"];
                hindrance.Reason = Text(guard["reason"], scope, situation);
                hindrance.Next = Text(guard["next"], scope, situation);
                return hindrance;
            }
            return null;
        }

        // Returns the parameter of type credential that a rung for this cause lacks, and nothing else.
        public string WantsCredential(string cause, Situation situation)
        {
            foreach (object each in List(Playbook["rungs"]))
            {
                IDictionary<string, object> rung = Map(each);
                if (!List(rung["causes"]).Contains(cause) || rung["left_out"] != null) { continue; }
                if (situation.Tried.Contains((string)rung["id"])) { continue; }
                foreach (object need in List(rung["needs"]))
                {
                    string name = (string)Map(need)["name"];
                    bool wants = (string)Map(need)["kind"] == "credential-on-pc";
                    if (wants && !situation.CredentialsForPcs.Contains(name)) { return name; }
                }
            }
            return null;
        }

        private IDictionary<string, object> StepScope(IDictionary<string, object> step, IDictionary<string, object> facts, Situation situation)
        {
            IDictionary<string, object> scope = Scope(facts, situation, (bool)step["terms"]);
            scope["preflight"] = Json.Object();
            return scope;
        }

        public bool Wanted(IDictionary<string, object> step, IDictionary<string, object> facts, Situation situation)
        {
            return step["when"] == null || Evaluator.Holds(step["when"], StepScope(step, facts, situation));
        }

        public SortedDictionary<string, object> ParametersOf(IDictionary<string, object> step, IDictionary<string, object> facts, Situation situation)
        {
            IDictionary<string, object> scope = StepScope(step, facts, situation);
            SortedDictionary<string, object> made = Json.Object();
            foreach (object each in List(step["with"]))
            {
                made[(string)List(each)[0]] = Evaluator.Defined(List(each)[1], scope);
            }
            return made;
        }

        public Verdict Judge(IDictionary<string, object> evidence, IDictionary<string, object> facts, Situation situation)
        {
            IDictionary<string, object> verify = Map(Playbook["verify"]);
            IDictionary<string, object> scope = Scope(facts, situation, true);
            scope["preflight"] = Json.Object();
            scope["verify"] = WithDirectory(evidence, (bool)verify["consult"]);
            Verdict verdict = new Verdict();
            if (verify["reboot_pending"] != null && Evaluator.Holds(verify["reboot_pending"], scope))
            {
                verdict.Kind = "reboot-pending";
                return verdict;
            }
            foreach (object each in List(verify["require"]))
            {
                IDictionary<string, object> guard = Map(each);
                if (Evaluator.Holds(guard["require"], scope)) { continue; }
                verdict.Kind = "not-proven";
                verdict.Fails = (string)guard["name"];
                verdict.Reason = Text(guard["reason"], scope, situation);
                verdict.Again = verify["ask_again"] == null || Evaluator.Holds(verify["ask_again"], scope);
                return verdict;
            }
            verdict.Kind = "proven";
            return verdict;
        }
    }
}
