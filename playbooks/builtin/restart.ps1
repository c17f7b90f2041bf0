# Orders the restart of Windows, in a few seconds or after the time that people are given. The code
# is that of shutdown.exe: 0 ordered, 1190 one is ordered already, 1115 Windows is going down, 5 this
# account may not.

param($Params)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

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

# That it stays is no reason not to restart: the PC is then taken for ready a little early.
try { Remove-ReadySign } catch { Write-Warning ([string]$_.Exception.HResult) }

# shutdown.exe and not a function of Windows: it takes the privilege itself, no C# has to be
# compiled on a PC that may be in the middle of an update, and its exit code is the Win32 code. It
# is started directly; no shell reads the line. A time above 0 closes programs that do not answer.
# p:4:1 is in the log as planned maintenance.
$start = New-Object System.Diagnostics.ProcessStartInfo
$start.FileName = Join-Path ([Environment]::SystemDirectory) 'shutdown.exe'
$arguments = '/r /t ' + [int]$Params.delay_seconds + ' /d p:4:1'
if ($Params.message) {
    $message = ConvertTo-Argument $Params.message
    if ($null -ne $message) { $arguments += ' /c ' + $message }
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
    $code = [long]$process.ExitCode
} finally {
    $process.Dispose()
}

$ordered = $code -eq 0
[PSCustomObject][ordered]@{
    ordered = $ordered
    code = $code
}
