// Tells of each rule on standard input whether it admits or blocks: LISTENER PORT RULE, the rule
// written as the registry has it.
using System;
using System.Collections.Generic;
using Fleetmend;

public static class Driver
{
    public static void Main()
    {
        string line;
        while ((line = Console.ReadLine()) != null)
        {
            string[] parts = line.Split(new char[] { ' ' }, 3);
            int port = int.Parse(parts[1]);
            FirewallRule rule = Read(parts[2]);
            bool admits = rule.Admits(parts[0], port);
            Console.WriteLine(admits ? "admits" : rule.MayBlock(parts[0], port) ? "blocks" : "nothing");
        }
    }

    private static FirewallRule Read(string text)
    {
        FirewallRule rule = new FirewallRule();
        // What INetFwRule tells where nothing is asked for.
        rule.Protocol = 256;
        rule.InterfaceTypes = "All";
        rule.LocalAddresses = "*";
        List<string> ports = new List<string>();
        List<string> only = new List<string>();
        foreach (string part in text.Split('|'))
        {
            string[] pair = part.Split(new char[] { '=' }, 2);
            string value = pair.Length == 2 ? pair[1] : "";
            switch (pair[0])
            {
                case "Action": rule.Allow = value == "Allow"; break;
                case "Protocol": rule.Protocol = int.Parse(value); break;
                case "App": rule.Program = value; break;
                case "Svc": rule.Service = value; break;
                case "LPort": ports.Add(value); break;
                case "LPort2_10": ports.Add(value); break;
                case "RPort": rule.RemotePorts = value; break;
                case "LA4": rule.LocalAddresses = value; break;
                case "IFType": rule.InterfaceTypes = value; break;
                case "IF": rule.OneInterface = true; break;
                case "Security": rule.SecureFlags = 1; break;
                case "AppPkgId": only.Add(value); break;
                case "LUOwn": only.Add(value); break;
                case "LUAuth": only.Add(value); break;
                case "RUAuth": only.Add(value); break;
                case "RMAuth": only.Add(value); break;
            }
        }
        rule.Ports = string.Join(",", ports.ToArray());
        rule.Only = only.ToArray();
        return rule;
    }
}
