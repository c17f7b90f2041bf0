// Decides case by case: a JSON value a line in, one a line out. Not a part of the stick.
using System;
using System.Collections.Generic;
using Fleetmend.Handoff;

public static class Driver
{
    private static List<string> Names(object value)
    {
        List<string> all = new List<string>();
        foreach (object each in Decider.List(value)) { all.Add((string)each); }
        return all;
    }

    private static Situation Read(IDictionary<string, object> given)
    {
        Situation situation = new Situation();
        situation.Parameters = Decider.Map(given["params"]);
        situation.Host = Decider.Map(given["host"]);
        situation.Answers = Decider.Map(given["answers"]);
        situation.Tried = Names(given["tried"]);
        situation.Credentials = Names(given["credentials"]);
        situation.CredentialsForPcs = Names(given["credentials_for_pcs"]);
        situation.Directory = (bool)given["directory"];
        situation.OfflineJoin = (bool)given["offline_join"];
        situation.Language = (string)given["language"];
        return situation;
    }

    private static object Decided(Decider decider, IDictionary<string, object> given)
    {
        SortedDictionary<string, object> told = Json.Object();
        IDictionary<string, object> facts = Decider.Map(given["facts"]);
        Situation situation = Read(Decider.Map(given["situation"]));
        try
        {
            if (given["verify"] != null)
            {
                Verdict verdict = decider.Judge(Decider.Map(given["verify"]), facts, situation);
                told["verdict"] = verdict.Kind;
                told["reason"] = verdict.Reason;
                told["again"] = verdict.Again;
            }
            else
            {
                Decision decision = decider.Decide(facts, situation);
                told["end"] = decision.Kind;
                told["cause"] = decision.Kind == "healthy" ? null : decision.Cause;
                told["code"] = decision.Code;
                told["rung"] = decision.Rung;
                told["guard"] = decision.Guard;
                told["reason"] = decision.Reason;
                told["next"] = decision.Next;
            }
            SortedDictionary<string, object> steps = Json.Object();
            foreach (object each in Decider.List(decider.Playbook["rungs"]))
            {
                foreach (object step in Decider.List(Decider.Map(each)["steps"]))
                {
                    string name = (string)Decider.Map(each)["id"] + "/" + (string)Decider.Map(step)["name"];
                    steps[name] = Sent(decider, Decider.Map(step), facts, situation);
                }
            }
            steps["verify"] = Sent(decider, Decider.Map(Decider.Map(decider.Playbook["verify"])["step"]), facts, situation);
            told["steps"] = steps;
        }
        catch (EvaluationException error)
        {
            told = Json.Object();
            told["error"] = error.Message;
        }
        return told;
    }

    private static object Sent(Decider decider, IDictionary<string, object> step, IDictionary<string, object> facts, Situation situation)
    {
        try
        {
            if (!decider.Wanted(step, facts, situation)) { return "skipped"; }
            return decider.ParametersOf(step, facts, situation);
        }
        catch (EvaluationException) { return "error"; }
    }

    public static void Main()
    {
        Decider decider = null;
        string line;
        while ((line = Console.In.ReadLine()) != null)
        {
            IDictionary<string, object> given = Decider.Map(Json.Parse(line));
            if (given.ContainsKey("playbook")) { decider = new Decider(given); continue; }
            Console.Out.WriteLine(Json.Write(Decided(decider, given)));
        }
    }
}
