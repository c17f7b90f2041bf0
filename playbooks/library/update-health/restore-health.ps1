# Repairs the component store as SYSTEM (what dism /restorehealth does), from Windows Update or a given
# source. Does not restart the PC. Run twice, also after a lost session, it waits for the repair that
# runs already.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: restore-health.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include restart-safety.ps1
#include updates.ps1
#include system-task.ps1

# One line: code, health of the store, whether a restart is needed.
$RestoreHealth = {
    param([string]$Key)
    $ProgressPreference = 'SilentlyContinue'
    $store = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key, $true)
    $source = [string]@($store.GetValue('Input'))[0]
    $line = ''
    try {
        if ($source -eq '-') {
            $image = Repair-WindowsImage -Online -RestoreHealth -NoRestart -ErrorAction Stop
        } else {
            $image = Repair-WindowsImage -Online -RestoreHealth -NoRestart -Source $source -LimitAccess -ErrorAction Stop
        }
        $line = '0 ' + [int]$image.ImageHealthState + ' ' + [int][bool]$image.RestartNeeded
    } catch {
        $error0 = $_.Exception
        while ($null -ne $error0.InnerException) { $error0 = $error0.InnerException }
        $line = [string][long]$error0.HResult + ' - 0'
    }
    $store.SetValue('Output', [string[]]@($line), [Microsoft.Win32.RegistryValueKind]::MultiString)
    $store.SetValue('Ended', 1)
}

$source = '-'
if ($Params.source) { $source = [string]$Params.source }
$answer = Invoke-Probe 'task' { Invoke-SystemTask 'fleetmend-restore-health' $RestoreHealth @($source) 5400000 }
$code = $null
$health = $null
$restart = $false
$waited = $null
if ($null -ne $answer) {
    $waited = $answer.waited
    $words = ([string]@($answer.lines)[0]).Split(' ')
    $code = Get-PlainCode ([long]$words[0])
    if ($words[1] -ne '-') { $health = [int]$words[1] }
    $restart = $words[2] -eq '1'
} else {
    # What the task scheduler said.
    $failed = @($ProbeErrors)[-1]
    $code = $failed.code
}
$shown = Format-Code $code

[PSCustomObject][ordered]@{
    code = $code
    code_shown = $shown
    store_health = $health
    restart_needed = $restart
    through_task = $null -ne $answer
    waited = $waited
    probe_errors = $ProbeErrors.ToArray()
}
