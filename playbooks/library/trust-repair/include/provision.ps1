# Makes offline join blobs (NetProvisionComputerAccount) as another account. Needs probe.ps1.

# Makes the calls possible. Add-Type has the C# compiler write temporary files: they hold this text,
# and no secret.
function Import-ProvisionApi {
    if ('Fleetmend.Provision' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Fleetmend
{
    // Characters in memory that the garbage collector neither moves nor copies.
    public sealed class ProvisionText : IDisposable
    {
        private readonly int capacity;
        private IntPtr start;
        private int count;

        public ProvisionText(int capacity)
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
                throw new InvalidOperationException("ProvisionText");
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

    public sealed class ProvisionAnswer
    {
        // Win32 code; null: the call was not made.
        public uint? Logon;
        public uint? Code;
        // The blob, base64.
        public string Made;
    }

    public static class Provision
    {
        [DllImport("advapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool LogonUserW(
            string name, string domain, IntPtr text, uint kind, uint provider, out IntPtr token);

        [DllImport("advapi32.dll", SetLastError = true)]
        private static extern bool ImpersonateLoggedOnUser(IntPtr token);

        [DllImport("advapi32.dll", SetLastError = true)]
        private static extern bool RevertToSelf();

        [DllImport("kernel32.dll")]
        private static extern bool CloseHandle(IntPtr handle);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint NetProvisionComputerAccount(
            string domain, string machine, string unit, string controller, uint options,
            IntPtr blob, IntPtr bytes, out IntPtr made);

        [DllImport("netapi32.dll")]
        private static extern uint NetApiBufferFree(IntPtr buffer);

        // Makes the blob at this controller, with the account of this name or a new one in this
        // unit; null: where the domain puts new ones.
        public static ProvisionAnswer Make(
            string domain, string machine, string unit, string controller,
            string user, string userDomain, ProvisionText text)
        {
            ProvisionAnswer answer = new ProvisionAnswer();
            IntPtr token = IntPtr.Zero;
            IntPtr made = IntPtr.Zero;
            try
            {
                // LOGON32_LOGON_NEW_CREDENTIALS, LOGON32_PROVIDER_WINNT50: nobody looks at the
                // password before it is used over the network.
                // PowerShell hands null over as ""; user@domain wants none.
                string at = string.IsNullOrEmpty(userDomain) ? null : userDomain;
                if (!LogonUserW(user, at, text.Start, 9, 3, out token) || !ImpersonateLoggedOnUser(token))
                {
                    answer.Logon = (uint)Marshal.GetLastWin32Error();
                    return answer;
                }
                answer.Logon = 0;
                try
                {
                    string place = string.IsNullOrEmpty(unit) ? null : unit;
                    // NETSETUP_PROVISION_REUSE_ACCOUNT
                    answer.Code = NetProvisionComputerAccount(
                        domain, machine, place, controller, 2, IntPtr.Zero, IntPtr.Zero, out made);
                }
                finally
                {
                    // Going on as somebody else would be worse than not going on.
                    if (!RevertToSelf()) { Environment.FailFast("RevertToSelf"); }
                }
                if (answer.Code == 0 && made != IntPtr.Zero) { answer.Made = Marshal.PtrToStringUni(made); }
                return answer;
            }
            finally
            {
                if (made != IntPtr.Zero)
                {
                    for (int at = 0; Marshal.ReadInt16(made, at) != 0; at += 2) { Marshal.WriteInt16(made, at, 0); }
                    NetApiBufferFree(made);
                }
                if (token != IntPtr.Zero) { CloseHandle(token); }
            }
        }
    }
}
'@
}
