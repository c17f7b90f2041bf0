# Lets the services of Windows Update start on demand that somebody has disabled. Run twice it does
# nothing more.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: enable-services.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include update-components.ps1

$enabled = New-Object System.Collections.ArrayList
$before = Invoke-Probe 'services' { Get-UpdateServices }
if ($null -ne $before) {
    foreach ($name in $UpdateServices) {
        # Disabled
        if ($before.$name.start_type -ne 4) { continue }
        $done = Invoke-Probe 'enable' {
            $null = Invoke-BoundedCmdlet 'Set-Service' @{ Name = $name; StartupType = 'Manual' } 20000
            $true
        }
        if ($done -eq $true) { [void]$enabled.Add($name) }
    }
}
$after = Invoke-Probe 'services' { Get-UpdateServices }
$left = $null
if ($null -ne $after) {
    $left = @($UpdateServices | Where-Object { $after.$_.start_type -eq 4 }).Count
}

[PSCustomObject][ordered]@{
    enabled = $enabled.ToArray()
    still_disabled = $left
    probe_errors = $ProbeErrors.ToArray()
}
