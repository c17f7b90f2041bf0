# Pauses updates for so many days, as the switch in Settings does, so that what is removed does not come
# back at once. A pause that is longer already stays. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: pause-updates.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include restart-safety.ps1
#include updates.ps1

$before = Invoke-Probe 'pause' { Get-UpdatePause }
$days = [int]$Params.days
$longer = $null -ne $before -and $null -ne $before.seconds_left -and $before.seconds_left -ge $days * 86400
if (-not $longer) {
    $null = Invoke-Probe 'set' {
        $invariant = [System.Globalization.CultureInfo]::InvariantCulture
        $now = [datetime]::UtcNow
        $start = $now.ToString('yyyy-MM-ddTHH:mm:ssZ', $invariant)
        $end = $now.AddDays($days).ToString('yyyy-MM-ddTHH:mm:ssZ', $invariant)
        $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($UpdateSettingsKey)
        try {
            foreach ($name in 'PauseUpdatesStartTime', 'PauseQualityUpdatesStartTime', 'PauseFeatureUpdatesStartTime') {
                $key.SetValue($name, $start, [Microsoft.Win32.RegistryValueKind]::String)
            }
            foreach ($name in 'PauseUpdatesExpiryTime', 'PauseQualityUpdatesEndTime', 'PauseFeatureUpdatesEndTime') {
                $key.SetValue($name, $end, [Microsoft.Win32.RegistryValueKind]::String)
            }
        } finally {
            $key.Close()
        }
    }
}
$after = Invoke-Probe 'pause' { Get-UpdatePause }
$left = $null
if ($null -ne $after) { $left = $after.seconds_left }

[PSCustomObject][ordered]@{
    seconds_left = $left
    kept = $longer
    probe_errors = $ProbeErrors.ToArray()
}
