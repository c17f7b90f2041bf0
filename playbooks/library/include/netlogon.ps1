# Asks Netlogon about the secure channel, by nltest or without it. Needs probe.ps1 and tool.ps1.

# Runs nltest with one request about one name. Yields its exit code and its lines, of which only
# numbers, symbols and \\names may be read: all else is in the language of Windows.
function Invoke-Nltest([string]$Request, [string]$Name, [string[]]$Flags, [int]$Milliseconds) {
    # ERROR_INVALID_NAME. Such a name could not be told apart from further arguments.
    if ($Name -notmatch '^[A-Za-z0-9][A-Za-z0-9._\\-]*\z') {
        throw (New-Object System.ComponentModel.Win32Exception 123)
    }
    $start = New-ToolStart 'nltest.exe'
    $start.Arguments = (@(('/{0}:{1}' -f $Request, $Name)) + @($Flags)) -join ' '
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

# Tells whether two names are the same host; one of them may lack its domain.
function Test-SameHost([string]$One, [string]$Other) {
    if ($One -eq $Other) { return $true }
    if ($One.Contains('.') -and $Other.Contains('.')) { return $false }
    return ($One -split '\.')[0] -eq ($Other -split '\.')[0]
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
            if (!InTime(delegate() { answer = ControlNow(function, name); }, milliseconds))
            {
                return new ChannelInfo { Result = 1460 };
            }
            return answer;
        }

        public static LocatorInfo Locate(string domain, uint flags, int milliseconds)
        {
            LocatorInfo answer = null;
            if (!InTime(delegate() { answer = LocateNow(domain, flags); }, milliseconds))
            {
                return new LocatorInfo { Result = 1460 };
            }
            return answer;
        }

        // Tells whether a call came back in time; throws what it threw, within an exception.
        private static bool InTime(ThreadStart call, int milliseconds)
        {
            Exception failure = null;
            Thread thread = new Thread(delegate()
            {
                // An exception that leaves a thread ends the process, and all steps with it.
                try { call(); }
                catch (Exception error) { failure = error; }
            });
            thread.IsBackground = true;
            thread.Start();
            if (!thread.Join(milliseconds)) { return false; }
            if (failure != null) { throw new InvalidOperationException("netapi32.dll", failure); }
            return true;
        }

        private static ChannelInfo ControlNow(uint function, string name)
        {
            IntPtr data = Marshal.StringToHGlobalUni(name);
            IntPtr buffer = IntPtr.Zero;
            try
            {
                ChannelInfo answer = new ChannelInfo();
                // A change of the password (9) answers with NETLOGON_INFO_1, which is the first
                // two fields of the other.
                uint level = function == 9 ? 1u : 2u;
                answer.Result = I_NetLogonControl2(null, function, level, ref data, out buffer);
                if (answer.Result != 0 || buffer == IntPtr.Zero) { return answer; }
                if (level == 1)
                {
                    answer.Connection = (uint)Marshal.ReadInt32(buffer, 4);
                    return answer;
                }
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

# Asks Netlogon without nltest. Functions of lmaccess.h: 5 rediscover, 6 query, 9 change the
# password, 10 verify.
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
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    try {
        return ConvertFrom-Nltest (Invoke-Nltest $Request $Name @() $Milliseconds)
    } catch {
        # A request that ran out of time is not made twice.
        if ((Get-ErrorCode $_) -eq 1460) { throw }
    }
    return Invoke-NetlogonApi $Function $Name (Get-TimeLeft $clock $Milliseconds)
}

# Returns the milliseconds that are left, at least one.
function Get-TimeLeft([System.Diagnostics.Stopwatch]$Clock, [int]$Milliseconds) {
    return [int][Math]::Max(1, $Milliseconds - $Clock.ElapsedMilliseconds)
}

# Asks Test-ComputerSecureChannel. Yields its Boolean and, if it failed, the id of its error.
function Test-Channel {
    $answer = @{ result = $null; error_id = $null }
    try {
        $said = @(Invoke-BoundedCmdlet 'Test-ComputerSecureChannel' @{} 15000)
        if ($said.Count -eq 1) { $answer.result = [bool]$said[0] }
    } catch {
        $answer.error_id = Get-ErrorId $_
    }
    return $answer
}

# Looks for a domain controller afresh. Yields the Win32 code, its name and its address.
function Find-DomainController([string]$Domain, [int]$Milliseconds) {
    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    try {
        $output = Invoke-Nltest 'dsgetdc' $Domain @('/force', '/ret_dns') $Milliseconds
        $names = New-Object System.Collections.ArrayList
        foreach ($line in $output.lines) {
            if ($line -match 'Status = (\d+) 0x') {
                return @{ error = [long]$Matches[1]; name = $null; address = $null }
            }
            # The first \\name is the controller, the second its address.
            if ($line -match '\\\\([A-Za-z0-9][A-Za-z0-9.:_-]*)') { [void]$names.Add($Matches[1]) }
        }
        # ERROR_INVALID_DATA
        if ($names.Count -eq 0) { throw (New-Object System.ComponentModel.Win32Exception 13) }
        $address = $null
        if ($names.Count -gt 1) { $address = $names[1] }
        return @{ error = 0L; name = $names[0].ToLowerInvariant(); address = $address }
    } catch {
        if ((Get-ErrorCode $_) -eq 1460) { return @{ error = 1460L; name = $null; address = $null } }
    }
    Import-NetlogonApi
    # DS_FORCE_REDISCOVERY and DS_RETURN_DNS_NAME
    $info = [Fleetmend.NetlogonApi]::Locate($Domain, 1073741825, (Get-TimeLeft $clock $Milliseconds))
    if ($info.Result -ne 0) { return @{ error = [long]$info.Result; name = $null; address = $null } }
    return @{
        error = 0L
        name = $info.Name.TrimStart('\').ToLowerInvariant()
        address = $info.Address.TrimStart('\')
    }
}
