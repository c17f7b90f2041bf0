// Does what the scripts do with the classes, and says what came of it.
public static class Driver
{
    private static Fleetmend.JoinText Text(string characters)
    {
        Fleetmend.JoinText text = new Fleetmend.JoinText(64);
        foreach (char character in characters) { text.Append(character); }
        return text;
    }

    private static void Say(string what, uint code)
    {
        System.Console.Error.WriteLine("{0}={1}", what, code);
    }

    public static void Main()
    {
        using (Fleetmend.JoinText password = Text("p\u00e4ss"))
        {
            Say("in-place", Fleetmend.Membership.Join("example.jp", "dc01.example.jp", "", "EXAMPLE\\join", password, true));
            Say("join", Fleetmend.Membership.Join("example.jp", "dc01.example.jp", "OU=PCs", "EXAMPLE\\join", password, false));
        }
        Say("leave", Fleetmend.Membership.Leave());
        Say("workgroup", Fleetmend.Membership.Workgroup("WORKGROUP"));
        // One, two and no characters that fill up, and what a file of djoin may have at its end.
        foreach (string blob in new string[] { "AP9/gA==", "AP9/gAE=", "AP9/gAEC", "AP9/\r\ngAEC\0" })
        {
            using (Fleetmend.JoinText text = Text(blob)) { Say("request", Fleetmend.Membership.Request(text, "C:\\Windows")); }
        }
        using (Fleetmend.JoinText text = Text("no blob!")) { Say("no-blob", Fleetmend.Membership.Request(text, "C:\\Windows")); }
        using (Fleetmend.ProvisionText password = new Fleetmend.ProvisionText(8))
        {
            password.Append('x');
            Fleetmend.ProvisionAnswer answer = Fleetmend.Provision.Make(
                "example.jp", "PC-001", "", "dc01.example.jp", "join", "EXAMPLE", password);
            System.Console.Error.WriteLine("logon={0} code={1} made={2}", answer.Logon, answer.Code, answer.Made);
        }
        // user@domain: PowerShell hands the domain that is not there over as "".
        using (Fleetmend.ProvisionText password = new Fleetmend.ProvisionText(8))
        {
            password.Append('x');
            Fleetmend.Provision.Make(
                "example.jp", "PC-001", "", "dc01.example.jp", "join@example.jp", "", password);
        }
    }
}
