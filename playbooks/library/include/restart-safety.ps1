# What must be known before a PC is restarted: who works at it, whether another restart, join or
# renaming waits, power, BitLocker. Needs probe.ps1. Nothing here changes the PC, and each function
# throws if Windows does not tell.

# Makes callable what no cmdlet tells in numbers. Add-Type has the C# compiler write temporary
# files: they hold this text.
function Import-RestartSafetyApi {
    if ('Fleetmend.RestartSafety' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.Runtime.InteropServices;

namespace Fleetmend
{
    public sealed class SessionsAnswer
    {
        public uint Error;
        public int Active;
        public int Disconnected;
    }

    public sealed class PowerAnswer
    {
        public uint Error;
        // 0 on battery, 1 on mains, 255 unknown.
        public int Line;
        // Sum of flags: 2 low, 4 critical, 128 no battery; 255 unknown.
        public int Flags;
        // 0 to 100; 255 unknown.
        public int Percent;
    }

    public static class RestartSafety
    {
        // wtsapi32.h, WTS_SESSION_INFOW
        [StructLayout(LayoutKind.Sequential)]
        private struct SessionInfo
        {
            public uint Id;
            public IntPtr Station;
            public int State;
        }

        // winbase.h, SYSTEM_POWER_STATUS
        [StructLayout(LayoutKind.Sequential)]
        private struct PowerStatus
        {
            public byte Line;
            public byte Flags;
            public byte Percent;
            public byte Saver;
            public uint Left;
            public uint Whole;
        }

        [DllImport("wtsapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool WTSEnumerateSessionsW(
            IntPtr server, uint reserved, uint version, out IntPtr sessions, out uint count);

        [DllImport("wtsapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool WTSQuerySessionInformationW(
            IntPtr server, uint session, int what, out IntPtr value, out uint bytes);

        [DllImport("wtsapi32.dll")]
        private static extern void WTSFreeMemory(IntPtr memory);

        [DllImport("kernel32.dll", SetLastError = true)]
        private static extern bool GetSystemPowerStatus(out PowerStatus status);

        [DllImport("user32.dll")]
        private static extern int GetSystemMetrics(int index);

        // Counts those who are logged on at the screen or over Remote Desktop, also where they
        // have locked it or gone away. Logons over the network have no such session.
        public static SessionsAnswer Sessions()
        {
            SessionsAnswer answer = new SessionsAnswer();
            IntPtr sessions;
            uint count;
            if (!WTSEnumerateSessionsW(IntPtr.Zero, 0, 1, out sessions, out count))
            {
                answer.Error = (uint)Marshal.GetLastWin32Error();
                return answer;
            }
            try
            {
                int size = Marshal.SizeOf(typeof(SessionInfo));
                for (int at = 0; at < count; at++)
                {
                    IntPtr place = new IntPtr(sessions.ToInt64() + (long)at * size);
                    SessionInfo session = (SessionInfo)Marshal.PtrToStructure(place, typeof(SessionInfo));
                    if (!HasUser(session.Id)) { continue; }
                    // WTSActive
                    if (session.State == 0) { answer.Active++; } else { answer.Disconnected++; }
                }
                return answer;
            }
            finally
            {
                WTSFreeMemory(sessions);
            }
        }

        private static bool HasUser(uint session)
        {
            IntPtr name;
            uint bytes;
            // WTSUserName. A session that has ended meanwhile is nobody's.
            if (!WTSQuerySessionInformationW(IntPtr.Zero, session, 5, out name, out bytes)) { return false; }
            try
            {
                return name != IntPtr.Zero && bytes > 2 && Marshal.ReadInt16(name) != 0;
            }
            finally
            {
                if (name != IntPtr.Zero) { WTSFreeMemory(name); }
            }
        }

        public static PowerAnswer Power()
        {
            PowerAnswer answer = new PowerAnswer();
            PowerStatus status;
            if (!GetSystemPowerStatus(out status))
            {
                answer.Error = (uint)Marshal.GetLastWin32Error();
                return answer;
            }
            answer.Line = status.Line;
            answer.Flags = status.Flags;
            answer.Percent = status.Percent;
            return answer;
        }

        // SM_SHUTTINGDOWN
        public static bool ShuttingDown()
        {
            return GetSystemMetrics(0x2000) != 0;
        }
    }
}
'@
}

# Throws the Win32 code of an answer that is none.
function Assert-SafetyAnswer($Answer) {
    if ($Answer.Error -ne 0) { throw (New-Object System.ComponentModel.Win32Exception ([int]$Answer.Error)) }
}

# Reads one registry value; null where key or value is missing.
function Read-MachineValue([string]$Key, [string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue($Name) } finally { $opened.Close() }
}

# Tells whether there is such a registry key.
function Test-MachineKey([string]$Key) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $false }
    $opened.Close()
    return $true
}

# Counts the people who are logged on: active at this moment, and gone away without logging off.
function Get-SignedInUsers {
    Import-RestartSafetyApi
    $answer = [Fleetmend.RestartSafety]::Sessions()
    Assert-SafetyAnswer $answer
    return [PSCustomObject][ordered]@{ active = [long]$answer.Active; disconnected = [long]$answer.Disconnected }
}

# Tells what waits for the next start of Windows. file_renames is for showing: browsers set it
# at every update of their own.
function Get-PendingRestart {
    Import-RestartSafetyApi
    $versions = 'SOFTWARE\Microsoft\Windows\CurrentVersion\'
    $servicing = Test-MachineKey ($versions + 'Component Based Servicing\RebootPending')
    $progress = Test-MachineKey ($versions + 'Component Based Servicing\RebootInProgress')
    $update = Test-MachineKey ($versions + 'WindowsUpdate\Auto Update\RebootRequired')
    $renames = Read-MachineValue 'SYSTEM\CurrentControlSet\Control\Session Manager' 'PendingFileRenameOperations'
    # NetSetup leaves them from a join to the start after it.
    $netlogon = 'SYSTEM\CurrentControlSet\Services\Netlogon'
    $joins = $null -ne (Read-MachineValue $netlogon 'JoinDomain') -or $null -ne (Read-MachineValue $netlogon 'AvoidSpnSet')
    $names = 'SYSTEM\CurrentControlSet\Control\ComputerName\'
    $now = Read-MachineValue ($names + 'ActiveComputerName') 'ComputerName'
    $next = Read-MachineValue ($names + 'ComputerName') 'ComputerName'
    $down = [Fleetmend.RestartSafety]::ShuttingDown()
    return [PSCustomObject][ordered]@{
        servicing = $servicing -or $progress
        windows_update = $update
        file_renames = @($renames | Where-Object { $_ }).Count -gt 0
        join = $joins
        rename = $now -ne $next
        shutting_down = $down
    }
}

# Tells how the PC gets its power. percent and low are null where there is no battery.
function Get-Power {
    Import-RestartSafetyApi
    $answer = [Fleetmend.RestartSafety]::Power()
    Assert-SafetyAnswer $answer
    $power = [PSCustomObject][ordered]@{ on_battery = $null; percent = $null; low = $null }
    # 255: unknown.
    if (@(0, 1) -contains $answer.Line) { $power.on_battery = $answer.Line -eq 0 }
    # 255: unknown. 128: no battery.
    if ($answer.Flags -ne 255 -and ($answer.Flags -band 128) -eq 0) {
        if ($answer.Percent -le 100) { $power.percent = [long]$answer.Percent }
        $power.low = ($answer.Flags -band 6) -ne 0
    }
    return $power
}

# Returns the volume that Windows starts from, as BitLocker sees it; null where this Windows has
# no BitLocker.
function Get-SystemVolume {
    try {
        $volumes = @(Get-CimInstance -Namespace 'root\CIMV2\Security\MicrosoftVolumeEncryption' -ClassName Win32_EncryptableVolume -OperationTimeoutSec 15)
    } catch {
        # WBEM_E_INVALID_NAMESPACE, WBEM_E_INVALID_CLASS
        $code = Get-ErrorCode $_
        $none = $_.Exception -is [Microsoft.Management.Infrastructure.CimException] -and
            @(3, 5) -contains [int]$_.Exception.NativeErrorCode
        if ($none -or @(-2147217394, -2147217392) -contains $code) { return $null }
        throw
    }
    foreach ($volume in $volumes) {
        if ($volume.DriveLetter -eq $env:SystemDrive) { return $volume }
    }
    return $null
}

# Tells whether BitLocker guards the system volume: 0 no or suspended, 1 yes, 2 unknown (locked).
# A Windows without BitLocker is 0.
function Get-BitLockerProtection {
    $volume = Get-SystemVolume
    if ($null -eq $volume) { return 0L }
    $answer = Invoke-CimMethod -InputObject $volume -MethodName GetProtectionStatus -OperationTimeoutSec 15
    if ($answer.ReturnValue -ne 0) {
        $hresult = [BitConverter]::ToInt32([BitConverter]::GetBytes([uint32]$answer.ReturnValue), 0)
        throw (New-Object System.Runtime.InteropServices.COMException 'BitLocker', $hresult)
    }
    return [long]$answer.ProtectionStatus
}
