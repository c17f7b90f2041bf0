# Gives the PC a new machine password: Test-ComputerSecureChannel -Repair, with a domain
# credential, at a named controller. The cmdlet sets 120 random characters in Active Directory
# first and in the PC's own LSA second; if it is cut between the two the PC is further off than
# before, and running this again mends that. So it is safe to run twice.
#
# A wrong password is spent once: the credential is first tried with one LDAP logon, and only if
# the controller accepts it does the cmdlet run. The answer's credential_error tells.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: secure-channel-repair.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$ProbeErrors = New-Object System.Collections.ArrayList

# Lists an exception and those within it, from the outside in.
function Get-ExceptionChain($ErrorRecord) {
    $exception = $ErrorRecord.Exception
    for ($depth = 0; $null -ne $exception -and $depth -lt 16; $depth++) {
        $exception
        $next = $exception.InnerException
        # What -ErrorAction Stop ended keeps its cause in the record only.
        if ($null -eq $next -and $exception -is [System.Management.Automation.ActionPreferenceStopException]) {
            $next = $exception.ErrorRecord.Exception
        }
        $exception = $next
    }
}

# Returns the Win32 code of an error, else its HRESULT as a signed number, else null: never text.
function Get-ErrorCode($ErrorRecord) {
    $found = $null
    foreach ($exception in @(Get-ExceptionChain $ErrorRecord)) {
        # Socket errors are of this type too.
        if ($exception -is [System.ComponentModel.Win32Exception]) {
            return [long]$exception.NativeErrorCode
        }
        $hresult = $exception.HResult
        if ($null -ne $hresult -and $hresult -ne 0) {
            # 0x8007xxxx carries a Win32 code.
            if (($hresult -band -65536) -eq -2147024896) { return [long]($hresult -band 65535) }
            $found = [long]$hresult
        }
    }
    return $found
}

# Returns the FullyQualifiedErrorId of the innermost error that has one, else its type. What is
# thrown by hand has its text for an id, which is in the language of Windows; an id has no blanks.
function Get-ErrorId($ErrorRecord) {
    $found = $ErrorRecord.Exception.GetType().FullName
    $ids = New-Object System.Collections.ArrayList
    [void]$ids.Add([string]$ErrorRecord.FullyQualifiedErrorId)
    foreach ($exception in @(Get-ExceptionChain $ErrorRecord)) {
        if ($exception -is [System.Management.Automation.IContainsErrorRecord] -and $null -ne $exception.ErrorRecord) {
            [void]$ids.Add([string]$exception.ErrorRecord.FullyQualifiedErrorId)
        }
    }
    foreach ($id in $ids) {
        if ($id -match '^[A-Za-z0-9_.,]+\z') { $found = $id }
    }
    return $found
}

# Runs a probe; if it fails, notes its number in $ProbeErrors and yields nothing.
function Invoke-Probe([string]$Name, [scriptblock]$Body) {
    try {
        & $Body
    } catch {
        $failure = [PSCustomObject][ordered]@{
            probe = $Name
            code = Get-ErrorCode $_
            error_id = Get-ErrorId $_
        }
        [void]$ProbeErrors.Add($failure)
    }
}

# Runs one cmdlet in its own runspace and gives it up after a while; its parameters are data.
function Invoke-BoundedCmdlet([string]$Cmdlet, [hashtable]$Arguments, [int]$Milliseconds) {
    $shell = [System.Management.Automation.PowerShell]::Create()
    $gaveUp = $false
    try {
        [void]$shell.AddCommand($Cmdlet)
        foreach ($key in $Arguments.Keys) { [void]$shell.AddParameter($key, $Arguments[$key]) }
        [void]$shell.AddParameter('ErrorAction', 'Stop')
        $running = $shell.BeginInvoke()
        if (-not $running.AsyncWaitHandle.WaitOne($Milliseconds)) {
            $gaveUp = $true
            [void]$shell.BeginStop($null, $null)
            # ERROR_TIMEOUT
            throw (New-Object System.ComponentModel.Win32Exception 1460)
        }
        $shell.EndInvoke($running)
    } finally {
        # Disposing waits for the cmdlet, so one that hangs is left to the end of the process.
        if (-not $gaveUp) { $shell.Dispose() }
    }
}

# Returns the path of nltest.exe, also from a 32-bit process; null where Windows has none.
function Get-NltestPath {
    $folder = 'System32'
    if ([Environment]::Is64BitOperatingSystem -and -not [Environment]::Is64BitProcess) {
        $folder = 'Sysnative'
    }
    $path = Join-Path (Join-Path $env:SystemRoot $folder) 'nltest.exe'
    if (Test-Path -LiteralPath $path) { return $path }
    return $null
}

# Runs nltest with one request about one name. Yields its exit code and its lines, of which only
# numbers, symbols and \\names may be read: all else is in the language of Windows.
function Invoke-Nltest([string]$Request, [string]$Name, [string[]]$Flags, [int]$Milliseconds) {
    $path = Get-NltestPath
    # ERROR_FILE_NOT_FOUND
    if ($null -eq $path) { throw (New-Object System.ComponentModel.Win32Exception 2) }
    # ERROR_INVALID_NAME. Such a name could not be told apart from further arguments.
    if ($Name -notmatch '^[A-Za-z0-9][A-Za-z0-9._\\-]*\z') {
        throw (New-Object System.ComponentModel.Win32Exception 123)
    }
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = $path
    $start.Arguments = (@(('/{0}:{1}' -f $Request, $Name)) + @($Flags)) -join ' '
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    # Its own input: ours carries the steps.
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    # One byte is one character, whatever the code page: ASCII stays readable.
    $start.StandardOutputEncoding = [System.Text.Encoding]::GetEncoding(28591)
    $start.StandardErrorEncoding = [System.Text.Encoding]::GetEncoding(28591)
    $process = [System.Diagnostics.Process]::Start($start)
    try {
        $process.StandardInput.Close()
        # What nltest prints fits the pipe's buffer, so it can end before we read.
        if (-not $process.WaitForExit($Milliseconds)) {
            $process.Kill()
            # ERROR_TIMEOUT
            throw (New-Object System.ComponentModel.Win32Exception 1460)
        }
        $text = $process.StandardOutput.ReadToEnd() + "`n" + $process.StandardError.ReadToEnd()
        $code = $process.ExitCode
    } finally {
        $process.Dispose()
    }
    return @{ exit_code = $code; lines = @($text -split "[\r\n]+") }
}

# Reads what nltest printed about the channel.
function ConvertFrom-Nltest($Output) {
    $control = $null
    $statuses = New-Object System.Collections.ArrayList
    $dc = $null
    foreach ($line in $Output.lines) {
        if ($line -match 'Status = (\d+) 0x') {
            $status = [long]$Matches[1]
            # "I_NetLogonControl failed: Status = 5" is about the caller, not about the channel.
            if ($line -match 'I_NetLogonControl') { $control = $status } else { [void]$statuses.Add($status) }
        } elseif ($null -eq $dc -and $line -match '\\\\([A-Za-z0-9][A-Za-z0-9._-]*)') {
            $dc = $Matches[1].ToLowerInvariant()
        }
    }
    # ERROR_INVALID_DATA
    if ($null -eq $control -and $statuses.Count -eq 0) {
        throw (New-Object System.ComponentModel.Win32Exception 13)
    }
    $connection = $null
    $trust = $null
    if ($statuses.Count -gt 0) { $connection = $statuses[0] }
    if ($statuses.Count -gt 1) { $trust = $statuses[1] }
    return @{
        tool = 'nltest'
        exit_code = [long]$Output.exit_code
        control_error = $control
        connection_status = $connection
        trust_status = $trust
        dc = $dc
    }
}

# Makes the functions behind nltest callable, for a Windows without it.
function Import-NetlogonApi {
    if ('Fleetmend.NetlogonApi' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace Fleetmend
{
    public sealed class ChannelInfo
    {
        public uint Result;
        public uint Flags;
        public uint Verification;
        public uint Connection;
        public string Controller;
    }

    public sealed class LocatorInfo
    {
        public uint Result;
        public string Name;
        public string Address;
    }

    public static class NetlogonApi
    {
        // lmaccess.h, NETLOGON_INFO_2
        [StructLayout(LayoutKind.Sequential)]
        private struct Info2
        {
            public uint Flags;
            public uint PdcConnectionStatus;
            public IntPtr TrustedDcName;
            public uint TcConnectionStatus;
        }

        // dsgetdc.h, DOMAIN_CONTROLLER_INFOW
        [StructLayout(LayoutKind.Sequential)]
        private struct ControllerInfo
        {
            public IntPtr Name;
            public IntPtr Address;
            public uint AddressType;
            public Guid DomainGuid;
            public IntPtr DomainName;
            public IntPtr ForestName;
            public uint Flags;
            public IntPtr DcSiteName;
            public IntPtr ClientSiteName;
        }

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode)]
        private static extern uint I_NetLogonControl2(
            string server, uint function, uint level, ref IntPtr data, out IntPtr buffer);

        [DllImport("netapi32.dll", CharSet = CharSet.Unicode, EntryPoint = "DsGetDcNameW")]
        private static extern uint DsGetDcName(
            string computer, string domain, IntPtr guid, string site, uint flags, out IntPtr info);

        [DllImport("netapi32.dll")]
        private static extern uint NetApiBufferFree(IntPtr buffer);

        // 1460 is ERROR_TIMEOUT.
        public static ChannelInfo Control(uint function, string name, int milliseconds)
        {
            ChannelInfo answer = null;
            Thread thread = new Thread(delegate() { answer = ControlNow(function, name); });
            thread.IsBackground = true;
            thread.Start();
            if (!thread.Join(milliseconds)) { return new ChannelInfo { Result = 1460 }; }
            return answer;
        }

        public static LocatorInfo Locate(string domain, uint flags, int milliseconds)
        {
            LocatorInfo answer = null;
            Thread thread = new Thread(delegate() { answer = LocateNow(domain, flags); });
            thread.IsBackground = true;
            thread.Start();
            if (!thread.Join(milliseconds)) { return new LocatorInfo { Result = 1460 }; }
            return answer;
        }

        private static ChannelInfo ControlNow(uint function, string name)
        {
            IntPtr data = Marshal.StringToHGlobalUni(name);
            IntPtr buffer = IntPtr.Zero;
            try
            {
                ChannelInfo answer = new ChannelInfo();
                answer.Result = I_NetLogonControl2(null, function, 2, ref data, out buffer);
                if (answer.Result != 0 || buffer == IntPtr.Zero) { return answer; }
                Info2 info = (Info2)Marshal.PtrToStructure(buffer, typeof(Info2));
                answer.Flags = info.Flags;
                answer.Verification = info.PdcConnectionStatus;
                answer.Connection = info.TcConnectionStatus;
                answer.Controller = Marshal.PtrToStringUni(info.TrustedDcName);
                return answer;
            }
            finally
            {
                Marshal.FreeHGlobal(data);
                if (buffer != IntPtr.Zero) { NetApiBufferFree(buffer); }
            }
        }

        private static LocatorInfo LocateNow(string domain, uint flags)
        {
            IntPtr buffer = IntPtr.Zero;
            LocatorInfo answer = new LocatorInfo();
            answer.Result = DsGetDcName(null, domain, IntPtr.Zero, null, flags, out buffer);
            if (answer.Result != 0 || buffer == IntPtr.Zero) { return answer; }
            try
            {
                ControllerInfo info = (ControllerInfo)Marshal.PtrToStructure(buffer, typeof(ControllerInfo));
                answer.Name = Marshal.PtrToStringUni(info.Name);
                answer.Address = Marshal.PtrToStringUni(info.Address);
                return answer;
            }
            finally
            {
                NetApiBufferFree(buffer);
            }
        }
    }
}
'@
}

# Asks Netlogon without nltest. Functions of lmaccess.h: 5 rediscover, 6 query, 10 verify.
function Invoke-NetlogonApi([uint32]$Function, [string]$Name, [int]$Milliseconds) {
    Import-NetlogonApi
    $info = [Fleetmend.NetlogonApi]::Control($Function, $Name, $Milliseconds)
    $answer = @{
        tool = 'api'
        exit_code = [long]$info.Result
        control_error = $null
        connection_status = $null
        trust_status = $null
        dc = $null
    }
    if ($info.Result -ne 0) {
        $answer.control_error = [long]$info.Result
        return $answer
    }
    $answer.connection_status = [long]$info.Connection
    # NETLOGON_VERIFY_STATUS_RETURNED
    if (($info.Flags -band 128) -ne 0) { $answer.trust_status = [long]$info.Verification }
    if ($info.Controller) { $answer.dc = $info.Controller.TrimStart('\').ToLowerInvariant() }
    return $answer
}

# Asks Netlogon about the channel: by nltest, or directly where nltest is missing or unreadable.
function Invoke-Netlogon([string]$Request, [uint32]$Function, [string]$Name, [int]$Milliseconds) {
    try {
        return ConvertFrom-Nltest (Invoke-Nltest $Request $Name @() $Milliseconds)
    } catch {
        # A request that ran out of time is not made twice.
        if ((Get-ErrorCode $_) -eq 1460) { throw }
    }
    return Invoke-NetlogonApi $Function $Name $Milliseconds
}

# Returns the id of the newest record of the System log.
function Get-LastRecordId {
    $newest = @(Invoke-BoundedCmdlet 'Get-WinEvent' @{ LogName = 'System'; MaxEvents = 1 } 10000)
    return [long]$newest[0].RecordId
}

# Logs on to the controller by LDAP, signed and sealed. Yields 0 if it accepts the credential,
# else the Win32 code with which it refuses; throws if it could not be asked.
function Test-Credential([string]$Server, [System.Net.NetworkCredential]$Credential) {
    Add-Type -AssemblyName System.DirectoryServices.Protocols
    $connection = New-Object System.DirectoryServices.Protocols.LdapConnection $Server
    try {
        $connection.AuthType = [System.DirectoryServices.Protocols.AuthType]::Negotiate
        $connection.Timeout = [timespan]::FromSeconds(20)
        $connection.SessionOptions.ProtocolVersion = 3
        $connection.SessionOptions.Signing = $true
        $connection.SessionOptions.Sealing = $true
        $connection.Credential = $Credential
        $connection.Bind()
        return 0L
    } catch {
        foreach ($exception in @(Get-ExceptionChain $_)) {
            if ($exception -isnot [System.DirectoryServices.Protocols.LdapException]) { continue }
            # LDAP_INVALID_CREDENTIALS
            if ($exception.ErrorCode -ne 49) { break }
            # The controller's own diagnostic, "... data 52e, v1db1": Win32 in hex, not translated.
            if ([string]$exception.ServerErrorMessage -match ', data ([0-9a-fA-F]+),') {
                return [Convert]::ToInt64($Matches[1], 16)
            }
            # ERROR_LOGON_FAILURE: Kerberos refuses before the controller's LDAP says a word.
            return 1326L
        }
        throw
    } finally {
        $connection.Dispose()
    }
}

$domain = [string]$Params.domain
$server = [string]$Params.domain_controller

# The password comes as data on standard input, is never in an argument, a file or the
# environment, and lives in this process only. Character by character, not by ConvertTo-SecureString:
# module logging (event 4103) would write down that cmdlet's argument.
$secret = New-Object System.Security.SecureString
foreach ($character in ([string]$Params.domain_credential.password).ToCharArray()) {
    $secret.AppendChar($character)
}
$secret.MakeReadOnly()
$credential = New-Object System.Management.Automation.PSCredential ([string]$Params.domain_credential.user), $secret

# 0: accepted. Null: the controller could not be asked.
$refused = Invoke-Probe 'credential' { Test-Credential $server $credential.GetNetworkCredential() }

$repaired = $null
$failedId = $null
$failedCode = $null
if ($refused -eq 0) {
    try {
        $said = @(Test-ComputerSecureChannel -Repair -Server $server -Credential $credential -Confirm:$false)
        $repaired = $said.Count -eq 1 -and $said[0] -eq $true
    } catch {
        $failedId = Get-ErrorId $_
        $failedCode = Get-ErrorCode $_
    }
}

# The new password may not have reached the other controllers: bind the channel to this one.
$pinned = $null
if ($null -ne $repaired) {
    $answer = Invoke-Probe 'pin' { Invoke-Netlogon 'sc_reset' 5 ($domain + '\' + $server) 40000 }
    if ($null -ne $answer) {
        $pinned = $answer.connection_status
        if ($null -ne $answer.control_error) { $pinned = $answer.control_error }
    }
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    repaired = $repaired
    error_id = $failedId
    error_code = $failedCode
    credential_error = $refused
    pin_status = $pinned
    dc = $server.ToLowerInvariant()
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
