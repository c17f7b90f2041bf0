# Has Windows enrol by itself: as SYSTEM, because the machine's own enrolment is nobody else's.

param($Params)

#include probe.ps1
#include tool.ps1
#include system-task.ps1

$done = Invoke-SystemTask 'fleetmend-kiosk-certificate' {
    param($Key)
    $own = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key, $true)
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = Join-Path ([Environment]::SystemDirectory) 'certutil.exe'
    $start.Arguments = '-pulse'
    $start.UseShellExecute = $false
    $process = [System.Diagnostics.Process]::Start($start)
    $code = 1460
    if ($process.WaitForExit(60000)) { $code = $process.ExitCode }
    $own.SetValue('Output', [string[]]@([string]$code), 'MultiString')
    $own.SetValue('Ended', 1, 'DWord')
    $own.Close()
} @($Params.template) 90000
$code = [long]$done.lines[0]

[PSCustomObject][ordered]@{
    code = $code
}
