# Sets how Netlogon changes the machine password, in its own settings. Netlogon reads them by itself.
# Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: set-rotation.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include rotation.ps1

$before = Invoke-Probe 'before' { Get-Rotation }
if ($null -eq $before) {
    $before = [PSCustomObject][ordered]@{ maximum_age_days = $null; changes_disabled = $null; changes_refused = $null }
}
$set = Invoke-Probe 'set' {
    $number = [Microsoft.Win32.RegistryValueKind]::DWord
    $disabled = 0
    if ($Params.disable_changes -eq $true) { $disabled = 1 }
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($OwnKey, $true)
    # ERROR_FILE_NOT_FOUND
    if ($null -eq $opened) { throw (New-Object System.ComponentModel.Win32Exception 2) }
    try {
        $opened.SetValue('MaximumPasswordAge', [int]$Params.maximum_age_days, $number)
        $opened.SetValue('DisablePasswordChange', $disabled, $number)
    } finally {
        $opened.Close()
    }
    $true
}

[PSCustomObject][ordered]@{
    set = $set -eq $true
    maximum_age_days_before = $before.maximum_age_days
    changes_disabled_before = $before.changes_disabled
    probe_errors = $ProbeErrors.ToArray()
}
