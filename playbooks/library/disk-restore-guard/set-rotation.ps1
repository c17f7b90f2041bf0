# Sets how Netlogon changes the machine password, in its own settings, and writes that through the
# Unified Write Filter if told to. What is null stays as it is. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: set-rotation.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include rotation.ps1
#include uwf.ps1

$before = Invoke-Probe 'before' { Get-Rotation }
if ($null -eq $before) {
    $before = [PSCustomObject][ordered]@{ maximum_age_days = $null; changes_disabled = $null; changes_refused = $null }
}
$set = Invoke-Probe 'set' {
    $number = [Microsoft.Win32.RegistryValueKind]::DWord
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($OwnKey, $true)
    # ERROR_FILE_NOT_FOUND
    if ($null -eq $opened) { throw (New-Object System.ComponentModel.Win32Exception 2) }
    try {
        if ($null -ne $Params.maximum_age_days) { $opened.SetValue('MaximumPasswordAge', [int]$Params.maximum_age_days, $number) }
        if ($Params.disable_changes -eq $true) { $opened.SetValue('DisablePasswordChange', 1, $number) }
        $opened.Flush()
    } finally {
        $opened.Close()
    }
    $true
}
$committed = $null
if ($Params.commit -eq $true -and $set -eq $true) {
    $committed = Invoke-Probe 'commit' {
        if ($null -ne $Params.maximum_age_days) { Save-ThroughUwf $OwnKey 'MaximumPasswordAge' }
        if ($Params.disable_changes -eq $true) { Save-ThroughUwf $OwnKey 'DisablePasswordChange' }
        $true
    }
    if ($null -eq $committed) { $committed = $false }
}

[PSCustomObject][ordered]@{
    set = $set -eq $true -and $committed -ne $false
    committed = $committed
    maximum_age_days_before = $before.maximum_age_days
    changes_disabled_before = $before.changes_disabled
    probe_errors = $ProbeErrors.ToArray()
}
