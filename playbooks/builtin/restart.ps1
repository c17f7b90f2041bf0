# Orders the restart of Windows: in a few seconds where nobody is logged on, else after the time that
# people are given, or not at all. Who is there is counted here and now; since anybody looked, hours
# may have passed. The code is that of shutdown.exe: 0 ordered, 1190 one is ordered already, 1115
# Windows is going down, 5 this account may not; null, it was not called.

param($Params)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# Makes callable what no cmdlet tells in numbers. Add-Type has the C# compiler write temporary
# files: they hold this text.
function Import-SessionsApi {
    if ('Fleetmend.SignedIn' -as [type]) { return }
    Add-Type -TypeDefinition @'
using System;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Fleetmend
{
    public static class SignedIn
    {
        // wtsapi32.h, WTS_SESSION_INFOW
        [StructLayout(LayoutKind.Sequential)]
        private struct SessionInfo
        {
            public uint Id;
            public IntPtr Station;
            public int State;
        }

        [DllImport("wtsapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool WTSEnumerateSessionsW(
            IntPtr server, uint reserved, uint version, out IntPtr sessions, out uint count);

        [DllImport("wtsapi32.dll", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern bool WTSQuerySessionInformationW(
            IntPtr server, uint session, int what, out IntPtr value, out uint bytes);

        [DllImport("wtsapi32.dll")]
        private static extern void WTSFreeMemory(IntPtr memory);

        // Counts those who are logged on at the screen or over Remote Desktop, also where they
        // have locked it or gone away. Logons over the network have no such session.
        public static long Count()
        {
            IntPtr sessions;
            uint count;
            if (!WTSEnumerateSessionsW(IntPtr.Zero, 0, 1, out sessions, out count))
            {
                throw new Win32Exception(Marshal.GetLastWin32Error());
            }
            try
            {
                long found = 0;
                int size = Marshal.SizeOf(typeof(SessionInfo));
                for (int at = 0; at < count; at++)
                {
                    IntPtr place = new IntPtr(sessions.ToInt64() + (long)at * size);
                    SessionInfo session = (SessionInfo)Marshal.PtrToStructure(place, typeof(SessionInfo));
                    if (HasUser(session.Id)) { found++; }
                }
                return found;
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
    }
}
'@
}

# Counts who is logged on; null if Windows does not tell. Where no C# can be compiled, as amid an
# update, by the processes that each session of a user has and the logon screen has not.
function Get-SignedInCount {
    try {
        Import-SessionsApi
        return [Fleetmend.SignedIn]::Count()
    } catch {
        Write-Warning ([string]$_.Exception.HResult)
    }
    try {
        $sessions = @{}
        foreach ($process in @(Get-Process)) {
            if ($process.SessionId -eq 0) { continue }
            if (@('explorer', 'userinit', 'sihost', 'taskhost', 'taskhostex', 'taskhostw', 'rdpshell', 'rdpinit') -contains $process.ProcessName) {
                $sessions[[string]$process.SessionId] = $true
            }
        }
        return [long]$sessions.Count
    } catch {
        return $null
    }
}

# Returns a text as one argument of a program; null where nothing of it is left. Nothing in it can end the argument: quotation marks
# become apostrophes, line ends and other signs without a shape become blanks, and no backslash
# stands before the closing mark. shutdown.exe takes at most 512 characters.
function ConvertTo-Argument([string]$Text) {
    $plain = New-Object System.Text.StringBuilder
    foreach ($character in $Text.ToCharArray()) {
        if ($plain.Length -ge 500) { break }
        if ([char]::IsControl($character)) {
            [void]$plain.Append(' ')
        } elseif ($character -eq [char]34) {
            [void]$plain.Append([char]39)
        } else {
            [void]$plain.Append($character)
        }
    }
    $argument = $plain.ToString().TrimEnd('\', ' ')
    if ($argument.Length -eq 0) { return $null }
    return '"' + $argument + '"'
}

# Takes away what Winlogon's screen makes anew when it has come up, so that the next start is
# known to be ready by it.
function Remove-ReadySign {
    $winlogon = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon', $true)
    if ($null -eq $winlogon) { return }
    try { $winlogon.DeleteSubKeyTree('AutoLogonChecked', $false) } finally { $winlogon.Close() }
}

# Orders it; returns the code.
#
# shutdown.exe and not a function of Windows: it takes the privilege itself, no C# has to be
# compiled on a PC that may be in the middle of an update, and its exit code is the Win32 code. It
# is started directly; no shell reads the line. A time above 0 closes programs that do not answer.
# p:4:1 is in the log as planned maintenance.
function Start-Restart([int]$Seconds, [string]$Message) {
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = Join-Path ([Environment]::SystemDirectory) 'shutdown.exe'
    $arguments = '/r /t ' + $Seconds + ' /d p:4:1'
    if ($Message) {
        $argument = ConvertTo-Argument $Message
        if ($null -ne $argument) { $arguments += ' /c ' + $argument }
    }
    $start.Arguments = $arguments
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    # Ours carry the steps. What it prints fits into the buffer of the pipe and is not read.
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true

    $process = [System.Diagnostics.Process]::Start($start)
    try {
        $process.StandardInput.Close()
        if (-not $process.WaitForExit(30000)) {
            $process.Kill()
            # ERROR_TIMEOUT
            throw (New-Object System.ComponentModel.Win32Exception 1460)
        }
        return [long]$process.ExitCode
    } finally {
        $process.Dispose()
    }
}

$users = Get-SignedInCount
$empty = $null -ne $users -and $users -eq 0
$delay = $null
$code = $null
if ($empty -or $Params.even_if_logged_on) {
    $delay = [int]$Params.delay_seconds
    if ($empty) { $delay = [int]$Params.at_once_seconds }
    # That it stays is no reason not to restart: the PC is then taken for ready a little early.
    try { Remove-ReadySign } catch { Write-Warning ([string]$_.Exception.HResult) }
    $code = Start-Restart $delay ([string]$Params.message)
}

$ordered = $null -ne $code -and $code -eq 0
[PSCustomObject][ordered]@{
    ordered = $ordered
    code = $code
    users = $users
    in_seconds = $delay
}
