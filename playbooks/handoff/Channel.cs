// The step channel (docs/step-channel.md) from the controller's side, on the PC itself: one
// PowerShell process, a request a line in, an answer a line out.
namespace Fleetmend.Handoff
{
    public sealed class Reply
    {
        // answered, failed, unknown, not-run: as in the journal.
        public string End;
        public object Answer;
        public string ErrorId;
        public object Code;
        public string Words = "";
    }

    public sealed class Channel : IDisposable
    {
        private readonly Process process;
        private readonly string marker;
        private readonly object gate = new object();
        private readonly AutoResetEvent news = new AutoResetEvent(false);
        private readonly Queue<string> lines = new Queue<string>();
        private Exception failure;
        private bool over;
        private int count;

        public Channel(string program, string arguments)
        {
            byte[] random = new byte[16];
            new RNGCryptoServiceProvider().GetBytes(random);
            marker = Hex(random);
            ProcessStartInfo start = new ProcessStartInfo(program, arguments);
            start.UseShellExecute = false;
            start.CreateNoWindow = true;
            start.RedirectStandardInput = true;
            start.RedirectStandardOutput = true;
            start.RedirectStandardError = true;
            start.StandardOutputEncoding = Encoding.ASCII;
            process = Process.Start(start);
            Listen(process.StandardOutput, true);
            Listen(process.StandardError, false);
        }

        public static string Hex(byte[] bytes)
        {
            StringBuilder made = new StringBuilder();
            foreach (byte each in bytes) { made.Append(each.ToString("x2", CultureInfo.InvariantCulture)); }
            return made.ToString();
        }

        private void Listen(StreamReader stream, bool keep)
        {
            Thread thread = new Thread(delegate()
            {
                try
                {
                    string line;
                    while ((line = stream.ReadLine()) != null)
                    {
                        // Where the console is UTF-8, .NET sends a byte order mark ahead of the first
                        // request, and its answer has three question marks ahead of the marker.
                        int begins = keep ? line.IndexOf(marker, StringComparison.Ordinal) : -1;
                        if (begins < 0 || begins > 3) { continue; }
                        lock (gate) { lines.Enqueue(line.Substring(begins)); }
                        news.Set();
                    }
                }
                catch (Exception error) { failure = error; }
                if (keep) { over = true; news.Set(); }
            });
            thread.IsBackground = true;
            thread.Start();
        }

        private static string Base64(string text) { return Convert.ToBase64String(new UTF8Encoding(false).GetBytes(text)); }

        // Runs a script; its parameters are a JSON object.
        public Reply Run(string script, string parameters, long deadlineMilliseconds)
        {
            count++;
            Reply reply = new Reply();
            string line = marker + " " + count + " " + Base64(script) + " " + Base64(parameters) + "\n";
            byte[] bytes = Encoding.ASCII.GetBytes(line);
            try
            {
                process.StandardInput.BaseStream.Write(bytes, 0, bytes.Length);
                process.StandardInput.BaseStream.Flush();
            }
            catch (IOException error)
            {
                reply.End = "not-run";
                reply.Words = "PowerShell has ended" + Exit() + ": " + error.Message;
                return reply;
            }
            Stopwatch clock = Stopwatch.StartNew();
            while (true)
            {
                string answer = null;
                lock (gate) { if (lines.Count > 0) { answer = lines.Dequeue(); } }
                if (answer != null) { return Read(answer); }
                long left = deadlineMilliseconds - clock.ElapsedMilliseconds;
                if (over || left <= 0)
                {
                    reply.End = "unknown";
                    reply.Words = over ? "PowerShell has ended" + Exit() : "it took longer than " + deadlineMilliseconds / 1000 + " s";
                    if (failure != null) { reply.Words += ": " + failure.Message; }
                    return reply;
                }
                news.WaitOne((int)Math.Min(left, 1000));
            }
        }

        private string Exit()
        {
            return process.WaitForExit(2000) ? " with exit code " + process.ExitCode : "";
        }

        private Reply Read(string line)
        {
            string[] parts = line.Split(new char[] { ' ' }, 3);
            Reply reply = new Reply();
            if (parts.Length != 3 || parts[1] != count.ToString(CultureInfo.InvariantCulture))
            {
                reply.End = "unknown";
                reply.Words = "an answer to another request came";
                return reply;
            }
            IDictionary<string, object> value = (IDictionary<string, object>)Json.Parse(parts[2]);
            if ((bool)value["ok"])
            {
                reply.End = "answered";
                reply.Answer = value["answer"];
                return reply;
            }
            IDictionary<string, object> error = (IDictionary<string, object>)value["error"];
            reply.End = "failed";
            reply.ErrorId = (string)error["id"];
            reply.Code = error["code"];
            reply.Words = (string)error["message"];
            return reply;
        }

        public void Dispose()
        {
            try
            {
                process.StandardInput.Close();
                if (!process.WaitForExit(3000)) { process.Kill(); }
            }
            catch (IOException error) { failure = error; }
            catch (InvalidOperationException error) { failure = error; }
            process.Close();
        }
    }
}
