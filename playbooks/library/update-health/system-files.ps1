# Checks the system files and repairs them, as SYSTEM (sfc /scannow). Its exit code says little, and what
# it prints is translated: what it could not repair is counted in CBS.log, whose lines are English on
# every Windows. Does not restart the PC. Run twice, also after a lost session, it waits for the scan
# that runs already.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: system-files.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include restart-safety.ps1
#include updates.ps1
#include system-task.ps1

# One line: exit code, lines of the checker in the log, those of files that it could not repair.
$ScanFiles = {
    param([string]$Key)
    $store = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key, $true)
    $log = Join-Path $env:SystemRoot 'Logs\CBS\CBS.log'
    $from = 0L
    if (Test-Path -LiteralPath $log) { $from = (New-Object System.IO.FileInfo $log).Length }
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = Join-Path $env:SystemRoot 'System32\sfc.exe'
    $start.Arguments = '/scannow'
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $code = 1460L
    $process = [System.Diagnostics.Process]::Start($start)
    if ($process.WaitForExit(5000000)) { $code = [long]$process.ExitCode }
    $checked = '-'
    $bad = '-'
    try {
        $file = New-Object System.IO.FileStream $log, 'Open', 'Read', 'ReadWrite, Delete'
        # The log was begun anew.
        if ($file.Length -lt $from) { $from = 0L }
        [void]$file.Seek($from, 'Begin')
        $reader = New-Object System.IO.StreamReader $file
        $checked = 0
        $bad = 0
        while ($null -ne ($text = $reader.ReadLine())) {
            $words = $text.Split(' ')
            if ($words -notcontains '[SR]') { continue }
            $checked++
            if ($words -contains 'Cannot' -and $words -contains 'repair') { $bad++ }
        }
        $reader.Close()
    } catch [System.IO.IOException] {
        $checked = '-'
        $bad = '-'
    }
    $line = [string]$code + ' ' + $checked + ' ' + $bad
    $store.SetValue('Output', [string[]]@($line), [Microsoft.Win32.RegistryValueKind]::MultiString)
    $store.SetValue('Ended', 1)
}

$answer = Invoke-Probe 'task' { Invoke-SystemTask 'fleetmend-system-files' $ScanFiles @('scan') 5400000 }
$code = $null
$checked = $null
$bad = $null
$waited = $null
if ($null -ne $answer) {
    $waited = $answer.waited
    $words = ([string]@($answer.lines)[0]).Split(' ')
    $code = Get-PlainCode ([long]$words[0])
    if ($words[1] -ne '-') {
        $checked = [long]$words[1]
        $bad = [long]$words[2]
    }
} else {
    # What the task scheduler said.
    $failed = @($ProbeErrors)[-1]
    $code = $failed.code
}
$shown = Format-Code $code

[PSCustomObject][ordered]@{
    code = $code
    code_shown = $shown
    log_lines = $checked
    not_repaired = $bad
    through_task = $null -ne $answer
    waited = $waited
    probe_errors = $ProbeErrors.ToArray()
}
