# Local accounts, the members of a local group and the rights to log on, by the functions of
# Windows that speak in numbers and SIDs. Needs probe.ps1.

# Makes them callable. Add-Type has the C# compiler write temporary files: they hold this text,
# and no secret.
function Import-LocalAccountApi {
    if ('Fleetmend.LocalAccount' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Security.Principal;

namespace Fleetmend
{
    // Characters in memory that the garbage collector neither moves nor copies.
    public sealed class AccountText : IDisposable
    {
        private readonly int capacity;
        private IntPtr start;
        private int count;

        public AccountText(int capacity)
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
                throw new InvalidOperationException("AccountText");
            }
            Marshal.WriteInt16(this.start, this.count * 2, character);
            this.count++;
        }

        internal IntPtr Start
        {
            get { return this.start; }
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

    // What USER_INFO_4 says of an account.
    public sealed class AccountAnswer
    {
        // Win32 code; 2221 (NERR_UserNotFound): there is none of that name.
        public uint Error;
        public string Sid;
        public uint Flags;
        // Seconds since 1970 at which it expires; 4294967295: never.
        public uint Expires;
        public bool MustChange;
        public uint BadCount;
    }

    public sealed class ListAnswer
    {
        public uint Error;
        public string[] Items = new string[0];
    }

    // USER_MODALS_INFO_3: durations in seconds, 4294967295: until somebody unlocks it.
    public sealed class LockoutAnswer
    {
        public uint Error;
        public uint Duration;
        public uint Window;
        public uint Threshold;
    }

    public static class LocalAccount
    {
        private const uint MoreData = 234;

        [StructLayout(LayoutKind.Sequential)]
        private struct UserInfo1
        {
            public IntPtr Name;
            public IntPtr Text;
            public uint Age;
            public uint Privilege;
            public IntPtr Home;
            public IntPtr Comment;
            public uint Flags;
            public IntPtr Script;
        }

        [StructLayout(LayoutKind.Sequential)]
        private struct UserInfo4
        {
            public IntPtr Name;
            public IntPtr Text;
            public uint Age;
            public uint Privilege;
            public IntPtr Home;
            public IntPtr Comment;
            public uint Flags;
            public IntPtr Script;
            public uint AuthFlags;
            public IntPtr FullName;
            public IntPtr UserComment;
            public IntPtr Parameters;
            public IntPtr Workstations;
            public uint LastLogon;
            public uint LastLogoff;
            public uint Expires;
            public uint MaxStorage;
            public uint UnitsPerWeek;
            public IntPtr LogonHours;
            public uint BadCount;
            public uint Logons;
            public IntPtr LogonServer;
            public uint Country;
            public uint CodePage;
            public IntPtr Sid;
            public uint PrimaryGroup;
            public IntPtr Profile;
            public IntPtr HomeDrive;
            public uint MustChange;
        }

        // ntsecapi.h, LSA_UNICODE_STRING; lengths are in bytes.
        [StructLayout(LayoutKind.Sequential)]
        private struct RightName
        {
            public ushort Length;
            public ushort MaximumLength;
            public IntPtr Buffer;
        }

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

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetUserGetInfo(IntPtr server, string name, uint level, out IntPtr buffer);

        [DllImport("netapi32.dll")]
        private static extern uint NetUserEnum(
            IntPtr server, uint level, uint filter, out IntPtr buffer, uint most,
            out uint read, out uint total, ref uint resume);

        [DllImport("netapi32.dll")]
        private static extern uint NetUserAdd(IntPtr server, uint level, ref UserInfo1 user, out uint wrong);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetUserSetInfo(
            IntPtr server, string name, uint level, ref IntPtr value, out uint wrong);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode, EntryPoint = "NetUserSetInfo")]
        private static extern uint NetUserSetNumber(
            IntPtr server, string name, uint level, ref uint value, out uint wrong);

        [DllImport("netapi32.dll")]
        private static extern uint NetUserModalsGet(IntPtr server, uint level, out IntPtr buffer);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetLocalGroupGetMembers(
            IntPtr server, string group, uint level, out IntPtr buffer, uint most,
            out uint read, out uint total, ref IntPtr resume);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetLocalGroupAddMembers(
            IntPtr server, string group, uint level, ref IntPtr sid, uint count);

        [DllImport("netapi32.dll")]
        private static extern uint NetApiBufferFree(IntPtr buffer);

        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool LogonUserW(
            string name, string domain, IntPtr text, uint kind, uint provider, out IntPtr token);

        [DllImport("advapi32.dll")]
        private static extern uint LsaOpenPolicy(
            IntPtr system, ref ObjectAttributes attributes, uint access, out IntPtr policy);

        [DllImport("advapi32.dll")]
        private static extern uint LsaEnumerateAccountsWithUserRight(
            IntPtr policy, ref RightName right, out IntPtr buffer, out uint count);

        [DllImport("advapi32.dll")]
        private static extern uint LsaFreeMemory(IntPtr buffer);

        [DllImport("advapi32.dll")]
        private static extern uint LsaClose(IntPtr handle);

        [DllImport("advapi32.dll")]
        private static extern uint LsaNtStatusToWinError(uint status);

        [DllImport("kernel32.dll")]
        private static extern bool CloseHandle(IntPtr handle);

        public static AccountAnswer Read(string name)
        {
            AccountAnswer answer = new AccountAnswer();
            IntPtr buffer = IntPtr.Zero;
            try
            {
                answer.Error = NetUserGetInfo(IntPtr.Zero, name, 4, out buffer);
                if (answer.Error != 0) { return answer; }
                UserInfo4 info = (UserInfo4)Marshal.PtrToStructure(buffer, typeof(UserInfo4));
                answer.Sid = new SecurityIdentifier(info.Sid).Value;
                answer.Flags = info.Flags;
                answer.Expires = info.Expires;
                answer.MustChange = info.MustChange != 0;
                answer.BadCount = info.BadCount;
                return answer;
            }
            finally
            {
                if (buffer != IntPtr.Zero) { NetApiBufferFree(buffer); }
            }
        }

        // Names of the ordinary accounts of this PC, at most 64 KiB of them.
        public static ListAnswer Names()
        {
            ListAnswer answer = new ListAnswer();
            IntPtr buffer = IntPtr.Zero;
            try
            {
                uint read, total, resume = 0;
                // FILTER_NORMAL_ACCOUNT
                answer.Error = NetUserEnum(IntPtr.Zero, 0, 2, out buffer, 65536, out read, out total, ref resume);
                if (answer.Error != 0 && answer.Error != MoreData) { return answer; }
                answer.Error = 0;
                answer.Items = new string[read];
                for (int at = 0; at < read; at++)
                {
                    answer.Items[at] = Marshal.PtrToStringUni(Marshal.ReadIntPtr(buffer, at * IntPtr.Size));
                }
                return answer;
            }
            finally
            {
                if (buffer != IntPtr.Zero) { NetApiBufferFree(buffer); }
            }
        }

        // SIDs of the members of a local group; none of them is looked up.
        public static ListAnswer Members(string group)
        {
            ListAnswer answer = new ListAnswer();
            IntPtr buffer = IntPtr.Zero;
            try
            {
                uint read, total;
                IntPtr resume = IntPtr.Zero;
                // MAX_PREFERRED_LENGTH
                answer.Error = NetLocalGroupGetMembers(
                    IntPtr.Zero, group, 0, out buffer, 0xFFFFFFFF, out read, out total, ref resume);
                if (answer.Error == 0) { answer.Items = Sids(buffer, read); }
                return answer;
            }
            finally
            {
                if (buffer != IntPtr.Zero) { NetApiBufferFree(buffer); }
            }
        }

        // SIDs that hold a right, SeDenyNetworkLogonRight for one.
        public static ListAnswer Holders(string right)
        {
            ListAnswer answer = new ListAnswer();
            IntPtr policy = IntPtr.Zero;
            IntPtr buffer = IntPtr.Zero;
            IntPtr name = Marshal.StringToHGlobalUni(right);
            try
            {
                ObjectAttributes attributes = new ObjectAttributes();
                attributes.Length = (uint)Marshal.SizeOf(typeof(ObjectAttributes));
                // POLICY_VIEW_LOCAL_INFORMATION and POLICY_LOOKUP_NAMES
                uint status = LsaOpenPolicy(IntPtr.Zero, ref attributes, 0x801, out policy);
                if (status == 0)
                {
                    ushort length = (ushort)(right.Length * 2);
                    RightName key = new RightName { Length = length, MaximumLength = (ushort)(length + 2), Buffer = name };
                    uint count;
                    status = LsaEnumerateAccountsWithUserRight(policy, ref key, out buffer, out count);
                    if (status == 0) { answer.Items = Sids(buffer, count); }
                }
                // STATUS_NO_MORE_ENTRIES: nobody holds it.
                if (status != 0 && status != 0x8000001A) { answer.Error = LsaNtStatusToWinError(status); }
                return answer;
            }
            finally
            {
                if (buffer != IntPtr.Zero) { LsaFreeMemory(buffer); }
                if (policy != IntPtr.Zero) { LsaClose(policy); }
                Marshal.FreeHGlobal(name);
            }
        }

        public static LockoutAnswer Lockout()
        {
            LockoutAnswer answer = new LockoutAnswer();
            IntPtr buffer = IntPtr.Zero;
            try
            {
                answer.Error = NetUserModalsGet(IntPtr.Zero, 3, out buffer);
                if (answer.Error != 0) { return answer; }
                answer.Duration = (uint)Marshal.ReadInt32(buffer, 0);
                answer.Window = (uint)Marshal.ReadInt32(buffer, 4);
                answer.Threshold = (uint)Marshal.ReadInt32(buffer, 8);
                return answer;
            }
            finally
            {
                if (buffer != IntPtr.Zero) { NetApiBufferFree(buffer); }
            }
        }

        // Makes an ordinary account that is enabled and whose password does not expire.
        public static uint Create(string name, AccountText text)
        {
            IntPtr own = Marshal.StringToHGlobalUni(name);
            try
            {
                UserInfo1 user = new UserInfo1();
                user.Name = own;
                user.Text = text.Start;
                // USER_PRIV_USER
                user.Privilege = 1;
                // UF_SCRIPT, UF_NORMAL_ACCOUNT, UF_DONT_EXPIRE_PASSWD
                user.Flags = 0x10201;
                uint wrong;
                return NetUserAdd(IntPtr.Zero, 1, ref user, out wrong);
            }
            finally
            {
                Marshal.FreeHGlobal(own);
            }
        }

        public static uint SetText(string name, AccountText text)
        {
            IntPtr value = text.Start;
            uint wrong;
            return NetUserSetInfo(IntPtr.Zero, name, 1003, ref value, out wrong);
        }

        public static uint SetFlags(string name, uint flags)
        {
            uint wrong;
            return NetUserSetNumber(IntPtr.Zero, name, 1008, ref flags, out wrong);
        }

        public static uint NeverExpire(string name)
        {
            // TIMEQ_FOREVER
            uint never = 0xFFFFFFFF;
            uint wrong;
            return NetUserSetNumber(IntPtr.Zero, name, 1017, ref never, out wrong);
        }

        public static uint AddMember(string group, string sid)
        {
            SecurityIdentifier who = new SecurityIdentifier(sid);
            byte[] bytes = new byte[who.BinaryLength];
            who.GetBinaryForm(bytes, 0);
            IntPtr memory = Marshal.AllocHGlobal(bytes.Length);
            try
            {
                Marshal.Copy(bytes, 0, memory, bytes.Length);
                IntPtr member = memory;
                return NetLocalGroupAddMembers(IntPtr.Zero, group, 0, ref member, 1);
            }
            finally
            {
                Marshal.FreeHGlobal(memory);
            }
        }

        // Logs on as from the network and at once off again: 0, or why Windows refuses.
        public static uint TryLogon(string name, AccountText text)
        {
            IntPtr token;
            // LOGON32_LOGON_NETWORK, LOGON32_PROVIDER_DEFAULT
            if (!LogonUserW(name, ".", text.Start, 3, 0, out token)) { return (uint)Marshal.GetLastWin32Error(); }
            CloseHandle(token);
            return 0;
        }

        private static string[] Sids(IntPtr buffer, uint count)
        {
            List<string> sids = new List<string>();
            for (int at = 0; at < count; at++)
            {
                sids.Add(new SecurityIdentifier(Marshal.ReadIntPtr(buffer, at * IntPtr.Size)).Value);
            }
            return sids.ToArray();
        }
    }
}
'@
}

# Throws the Win32 code of an answer that is none.
function Assert-Answer($Answer) {
    if ($Answer.Error -ne 0) { throw (New-Object System.ComponentModel.Win32Exception ([int]$Answer.Error)) }
}

# Returns the name that Administrators (S-1-5-32-544) has in this Windows.
function Get-AdministratorsName {
    $sid = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-32-544'
    $name = $sid.Translate([System.Security.Principal.NTAccount]).Value
    return $name.Substring($name.LastIndexOf('\') + 1)
}

# Puts an account in order: enabled and unlocked, without an end, a member of Administrators; and
# Windows gives local administrators their whole rights over the network. Does only what is asked
# and not so already. The codes are Win32; null: not done.
function Repair-Account([string]$Name, [bool]$Enable, [bool]$Add, [bool]$AllowRemote) {
    $done = [PSCustomObject][ordered]@{ flags_error = $null; expiry_error = $null; member_error = $null; remote_allowed = $null }
    $account = [Fleetmend.LocalAccount]::Read($Name)
    Assert-Answer $account
    if ($Enable) {
        # All but UF_ACCOUNTDISABLE and UF_LOCKOUT.
        $flags = [long]$account.Flags -band 4294967277
        if ($flags -ne $account.Flags) { $done.flags_error = [long][Fleetmend.LocalAccount]::SetFlags($Name, $flags) }
        if ($account.Expires -ne [uint32]::MaxValue) { $done.expiry_error = [long][Fleetmend.LocalAccount]::NeverExpire($Name) }
    }
    if ($Add) {
        $code = [long][Fleetmend.LocalAccount]::AddMember((Get-AdministratorsName), $account.Sid)
        # ERROR_MEMBER_IN_ALIAS: it is one.
        if ($code -eq 1378) { $code = 0L }
        $done.member_error = $code
    }
    if ($AllowRemote) {
        $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System')
        try {
            $key.SetValue('LocalAccountTokenFilterPolicy', 1, [Microsoft.Win32.RegistryValueKind]::DWord)
        } finally {
            $key.Close()
        }
        $done.remote_allowed = $true
    }
    return $done
}
