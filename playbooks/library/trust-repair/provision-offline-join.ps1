# Runs on a provisioning PC, a healthy member of the domain: makes the offline join blob for
# another PC (djoin /provision /reuse). The account of that PC gets a new password, which the blob
# holds; until the blob is used there, that PC is further off than before. Run twice it makes
# another blob, and the one before is void.
#
# As the operator's account, by impersonation for the network only: no file, no command line and no
# delegation is needed. The blob goes to the controller and is kept nowhere.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: provision-offline-join.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1

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
                if (!LogonUserW(user, userDomain, text.Start, 9, 3, out token) || !ImpersonateLoggedOnUser(token))
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

# Win32 codes with which a domain refuses a credential itself.
$Refusals = @(1326, 1327, 1330, 1331, 1385, 1907, 1909)

# DOMAIN\user in two parts; user@domain is whole without a domain.
$parts = @([string]$Params.joiner.user -split '\\', 2)
$user = $parts[-1]
$userDomain = $null
if ($parts.Count -eq 2) { $userDomain = $parts[0] }

$answer = $null
$text = $null
try {
    $text = Invoke-Probe 'provision' {
        Import-ProvisionApi
        New-Object Fleetmend.ProvisionText 256
    }
    if ($null -ne $text) {
        for ($i = 0; $i -lt $Params.joiner.password.Length; $i++) { $text.Append($Params.joiner.password[$i]) }
        $answer = Invoke-Probe 'provision' {
            [Fleetmend.Provision]::Make(
                [string]$Params.domain, [string]$Params.computer, [string]$Params.ou,
                [string]$Params.domain_controller, $user, $userDomain, $text)
        }
    }
} finally {
    if ($null -ne $text) { $text.Dispose() }
}

$made = $null
$code = $null
$refused = $null
if ($null -ne $answer) {
    $code = $answer.Code
    if ($null -eq $code) { $code = $answer.Logon }
    if ($null -ne $code) { $code = [long]$code }
    # The domain has looked at the credential if the call came as far as an account.
    if ($Refusals -contains $code) { $refused = $code }
    if ($code -eq 0) {
        $refused = 0L
        $made = $answer.Made
    }
}

[PSCustomObject][ordered]@{
    provisioned = $null -ne $made
    code = $code
    credential_error = $refused
    dc = ([string]$Params.domain_controller).ToLowerInvariant()
    made = $made
    probe_errors = $ProbeErrors.ToArray()
}
