# Reads the settings that count after a repair. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: verify.takes.json, verify.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include rotation.ps1

$rotation = [PSCustomObject][ordered]@{ maximum_age_days = $null; changes_disabled = $null; changes_refused = $null }
$read = Invoke-Probe 'rotation' { Get-Rotation }
if ($null -ne $read) { $rotation = $read }

[PSCustomObject][ordered]@{
    rotation = $rotation
    probe_errors = $ProbeErrors.ToArray()
}
