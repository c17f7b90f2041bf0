// Runs a stick as its PowerShell does, from the three texts that stand in it: for the tests alone.
using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using Fleetmend.Handoff;

public static class RunStick
{
    private static string Plain(string text)
    {
        string[] lines = text.Replace("\r", "").Split('\n');
        for (int i = 0; i < lines.Length; i++) { lines[i] = lines[i].Substring(Math.Min(1, lines[i].Length)); }
        return string.Join("\n", lines);
    }

    private static Dictionary<string, string> Scripts(string text)
    {
        Dictionary<string, string> known = new Dictionary<string, string>();
        string name = null;
        List<string> body = new List<string>();
        foreach (string line in (text.Replace("\r", "") + "\n== ").Split('\n'))
        {
            if (line.StartsWith("== ", StringComparison.Ordinal))
            {
                if (name != null) { known[name] = string.Join("\n", body.ToArray()); }
                name = line.Substring(3);
                body.Clear();
            }
            else { body.Add(line.Substring(Math.Min(1, line.Length))); }
        }
        return known;
    }

    // FOLDER COMPUTER CHOSEN LANGUAGE PROGRAM ARGUMENTS ACCOUNT
    public static int Main(string[] given)
    {
        string folder = given[0];
        string description = Plain(File.ReadAllText(Path.Combine(folder, "description")));
        Stick stick = new Stick(description, Scripts(File.ReadAllText(Path.Combine(folder, "scripts"))), given[3]);
        List<string> bad = stick.Damaged();
        if (bad.Count > 0) { Console.Out.WriteLine("damaged " + string.Join(" ", bad.ToArray())); return 2; }
        if (!stick.Choose(given[2], given[1])) { Console.Out.WriteLine("not of the run"); return 2; }
        string start = Stick.ChannelArguments(File.ReadAllText(Path.Combine(folder, "switches")), Plain(File.ReadAllText(Path.Combine(folder, "bootstrap"))));
        File.WriteAllText(Path.Combine(folder, "start"), start);
        stick.Program = given[4];
        stick.Arguments = given[5];
        stick.PauseScale = 0;
        stick.OnTell = delegate(string text) { Console.Error.WriteLine(text); };
        stick.OnAsk = delegate(string text) { Console.Error.WriteLine("? " + text); return true; };
        stick.OnAskAccount = delegate(string text)
        {
            Console.Error.WriteLine("account? " + text);
            return given[6] == "" ? null : new NetworkCredential("joiner", given[6], "CORP");
        };
        File.WriteAllText(Path.Combine(folder, "result.json"), stick.Run(given[1], given[1] + "\\Administrator"));
        Console.Out.WriteLine(stick.Outcome);
        return 0;
    }
}
