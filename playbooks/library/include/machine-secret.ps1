# The PC's own copy of its machine password: the LSA secret $MACHINE.ACC. Needs probe.ps1.
#
# The calls and their order are those of Reset-ComputerMachinePassword in Windows PowerShell:
# LsaOpenPolicy, LsaOpenSecret (or LsaCreateSecret where there is none), LsaQuerySecret for the
# value that becomes the previous one, LsaSetSecret.

# Makes the LSA's functions callable. Add-Type has the C# compiler write temporary files: they
# hold this text, and no secret.
function Import-MachineSecretApi {
    if ('Fleetmend.MachineSecret' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.Runtime.InteropServices;

namespace Fleetmend
{
    // Characters in memory that the garbage collector neither moves nor copies.
    public sealed class SecretText : IDisposable
    {
        private readonly int capacity;
        private IntPtr start;
        private int count;

        public SecretText(int capacity)
        {
            this.capacity = capacity;
            // One more, so that it ends with 0.
            this.start = Marshal.AllocHGlobal((capacity + 1) * 2);
            this.Blank();
        }

        public void Append(char character)
        {
            if (this.start == IntPtr.Zero || this.count == this.capacity)
            {
                throw new InvalidOperationException("SecretText");
            }
            Marshal.WriteInt16(this.start, this.count * 2, character);
            this.count++;
        }

        internal LsaString View()
        {
            return new LsaString
            {
                Length = (ushort)(this.count * 2),
                MaximumLength = (ushort)((this.count + 1) * 2),
                Buffer = this.start,
            };
        }

        public void Dispose()
        {
            if (this.start == IntPtr.Zero) { return; }
            this.Blank();
            Marshal.FreeHGlobal(this.start);
            this.start = IntPtr.Zero;
        }

        private void Blank()
        {
            for (int at = 0; at <= this.capacity; at++) { Marshal.WriteInt16(this.start, at * 2, 0); }
        }
    }

    // ntsecapi.h, LSA_UNICODE_STRING; lengths are in bytes.
    [StructLayout(LayoutKind.Sequential)]
    internal struct LsaString
    {
        public ushort Length;
        public ushort MaximumLength;
        public IntPtr Buffer;
    }

    // NTSTATUS of each call; null: it was not made.
    public sealed class StoreAnswer
    {
        public uint? OpenPolicy;
        public uint? OpenSecret;
        public uint? CreateSecret;
        public uint? QuerySecret;
        public uint? SetSecret;
        public bool Stored;
        public uint Error;
    }

    public sealed class TimeAnswer
    {
        public uint Error;
        public long FileTime;
    }

    public static class MachineSecret
    {
        private const string Name = "$MACHINE.ACC";
        private const uint SecretSetValue = 1;
        private const uint SecretQueryValue = 2;
        private const uint StatusObjectNameNotFound = 0xC0000034;

        // ntsecapi.h, LSA_OBJECT_ATTRIBUTES; all of it reserved.
        [StructLayout(LayoutKind.Sequential)]
        private struct ObjectAttributes
        {
            public uint Length;
            public IntPtr RootDirectory;
            public IntPtr ObjectName;
            public uint Attributes;
            public IntPtr SecurityDescriptor;
            public IntPtr SecurityQualityOfService;
        }

        [DllImport("advapi32.dll")]
        private static extern uint LsaOpenPolicy(
            IntPtr system, ref ObjectAttributes attributes, uint access, out IntPtr policy);

        [DllImport("advapi32.dll")]
        private static extern uint LsaOpenSecret(
            IntPtr policy, ref LsaString name, uint access, out IntPtr secret);

        [DllImport("advapi32.dll")]
        private static extern uint LsaCreateSecret(
            IntPtr policy, ref LsaString name, uint access, out IntPtr secret);

        [DllImport("advapi32.dll")]
        private static extern uint LsaQuerySecret(
            IntPtr secret, out IntPtr current, IntPtr currentTime, IntPtr old, IntPtr oldTime);

        [DllImport("advapi32.dll", EntryPoint = "LsaQuerySecret")]
        private static extern uint LsaQuerySecretTime(
            IntPtr secret, IntPtr current, out long currentTime, IntPtr old, IntPtr oldTime);

        [DllImport("advapi32.dll")]
        private static extern uint LsaSetSecret(
            IntPtr secret, ref LsaString current, ref LsaString old);

        [DllImport("advapi32.dll")]
        private static extern uint LsaClose(IntPtr handle);

        [DllImport("advapi32.dll")]
        private static extern uint LsaFreeMemory(IntPtr buffer);

        [DllImport("advapi32.dll")]
        private static extern uint LsaNtStatusToWinError(uint status);

        // Stores a password; what was in force becomes the previous one.
        public static StoreAnswer Store(SecretText password)
        {
            StoreAnswer answer = new StoreAnswer();
            IntPtr name = IntPtr.Zero;
            IntPtr policy = IntPtr.Zero;
            IntPtr secret = IntPtr.Zero;
            IntPtr before = IntPtr.Zero;
            try
            {
                LsaString key = NameString(out name);
                // POLICY_ALL_ACCESS
                answer.OpenPolicy = Open(0x000F0FFF, out policy);
                if (Failed(answer, answer.OpenPolicy.Value)) { return answer; }
                answer.OpenSecret = LsaOpenSecret(policy, ref key, SecretSetValue | SecretQueryValue, out secret);
                if (answer.OpenSecret == StatusObjectNameNotFound)
                {
                    answer.CreateSecret = LsaCreateSecret(policy, ref key, SecretSetValue, out secret);
                    if (Failed(answer, answer.CreateSecret.Value)) { return answer; }
                }
                else if (Failed(answer, answer.OpenSecret.Value)) { return answer; }
                LsaString current = password.View();
                // With nothing before it the new one stands in both places.
                LsaString previous = current;
                if (answer.CreateSecret == null)
                {
                    answer.QuerySecret = LsaQuerySecret(secret, out before, IntPtr.Zero, IntPtr.Zero, IntPtr.Zero);
                    if (Failed(answer, answer.QuerySecret.Value)) { return answer; }
                    if (before != IntPtr.Zero) { previous = (LsaString)Marshal.PtrToStructure(before, typeof(LsaString)); }
                }
                answer.SetSecret = LsaSetSecret(secret, ref current, ref previous);
                answer.Stored = !Failed(answer, answer.SetSecret.Value);
                return answer;
            }
            finally
            {
                Forget(before);
                if (secret != IntPtr.Zero) { LsaClose(secret); }
                if (policy != IntPtr.Zero) { LsaClose(policy); }
                if (name != IntPtr.Zero) { Marshal.FreeHGlobal(name); }
            }
        }

        // Asks when the secret was set, and not what it is.
        public static TimeAnswer SetTime()
        {
            TimeAnswer answer = new TimeAnswer();
            IntPtr name = IntPtr.Zero;
            IntPtr policy = IntPtr.Zero;
            IntPtr secret = IntPtr.Zero;
            try
            {
                LsaString key = NameString(out name);
                // POLICY_VIEW_LOCAL_INFORMATION and POLICY_GET_PRIVATE_INFORMATION
                uint status = Open(5, out policy);
                if (status == 0) { status = LsaOpenSecret(policy, ref key, SecretQueryValue, out secret); }
                if (status == 0)
                {
                    status = LsaQuerySecretTime(secret, IntPtr.Zero, out answer.FileTime, IntPtr.Zero, IntPtr.Zero);
                }
                if (status != 0) { answer.Error = LsaNtStatusToWinError(status); }
                return answer;
            }
            finally
            {
                if (secret != IntPtr.Zero) { LsaClose(secret); }
                if (policy != IntPtr.Zero) { LsaClose(policy); }
                if (name != IntPtr.Zero) { Marshal.FreeHGlobal(name); }
            }
        }

        private static uint Open(uint access, out IntPtr policy)
        {
            ObjectAttributes attributes = new ObjectAttributes();
            attributes.Length = (uint)Marshal.SizeOf(typeof(ObjectAttributes));
            return LsaOpenPolicy(IntPtr.Zero, ref attributes, access, out policy);
        }

        private static LsaString NameString(out IntPtr memory)
        {
            memory = Marshal.StringToHGlobalUni(Name);
            ushort length = (ushort)(Name.Length * 2);
            return new LsaString { Length = length, MaximumLength = (ushort)(length + 2), Buffer = memory };
        }

        private static bool Failed(StoreAnswer answer, uint status)
        {
            if (status == 0) { return false; }
            answer.Error = LsaNtStatusToWinError(status);
            return true;
        }

        // Blanks the old password before LSA's memory goes back.
        private static void Forget(IntPtr value)
        {
            if (value == IntPtr.Zero) { return; }
            LsaString text = (LsaString)Marshal.PtrToStructure(value, typeof(LsaString));
            if (text.Buffer != IntPtr.Zero)
            {
                for (int at = 0; at < text.Length; at++) { Marshal.WriteByte(text.Buffer, at, 0); }
            }
            LsaFreeMemory(value);
        }
    }
}
'@
}

# Returns when the machine password in force was stored, as a FILETIME.
function Get-MachineSecretTime {
    Import-MachineSecretApi
    $answer = [Fleetmend.MachineSecret]::SetTime()
    if ($answer.Error -ne 0) { throw (New-Object System.ComponentModel.Win32Exception ([int]$answer.Error)) }
    # ERROR_INVALID_DATA
    if ($answer.FileTime -le 0) { throw (New-Object System.ComponentModel.Win32Exception 13) }
    return $answer.FileTime
}
