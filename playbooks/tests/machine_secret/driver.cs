// Does what store-machine-password.ps1 does with the class, and says what came of it.
public static class Driver
{
    private static void Store(string characters)
    {
        Fleetmend.SecretText text = new Fleetmend.SecretText(16);
        Fleetmend.StoreAnswer answer;
        try
        {
            foreach (char character in characters) { text.Append(character); }
            answer = Fleetmend.MachineSecret.Store(text);
        }
        finally
        {
            text.Dispose();
        }
        System.Console.Error.WriteLine(
            "stored={0} error={1} calls={2:x},{3:x},{4:x},{5:x},{6:x}", answer.Stored, answer.Error,
            answer.OpenPolicy, answer.OpenSecret, answer.CreateSecret, answer.QuerySecret, answer.SetSecret);
    }

    public static void Main()
    {
        Store("first");
        Store("second");
        Fleetmend.TimeAnswer time = Fleetmend.MachineSecret.SetTime();
        System.Console.Error.WriteLine("time={0} error={1}", time.FileTime, time.Error);
        try { Store("longer than it was made for"); }
        catch (System.InvalidOperationException) { System.Console.Error.WriteLine("full"); }
    }
}
