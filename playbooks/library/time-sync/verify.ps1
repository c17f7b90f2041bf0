# Gathers the evidence that the clock is right and stays so: its distance from the controller's twice,
# a while apart, each by two means, and whether W32Time runs with its own settings. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: verify.takes.json, verify.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include clock.ps1
#include measure-clock.ps1
#include time-service.ps1

$server = [string]$Params.domain_controller
$runs = New-Object System.Collections.ArrayList
# Long enough for what would pull the clock back, a host or a bad source, to do so.
foreach ($run in 1, 2) {
    if ($run -eq 2) { Start-Sleep -Seconds 15 }
    $measured = Measure-Clock $server
    [void]$runs.Add([PSCustomObject][ordered]@{ sntp_seconds = $measured.sntp; ldap_seconds = $measured.ldap })
}

$service = [PSCustomObject][ordered]@{ status = $null; start_type = $null }
$answer = Invoke-Probe 'services' { Get-ServiceFacts 'W32Time' }
if ($null -ne $answer) { $service = $answer }
$type = Invoke-Probe 'config' { Get-SyncType $TimeKey }
$left = Invoke-Probe 'config' { Test-Saved }

[PSCustomObject][ordered]@{
    first = $runs[0]
    second = $runs[1]
    w32time = $service
    sync_type = $type
    left_over = $left
    probe_errors = $ProbeErrors.ToArray()
}
