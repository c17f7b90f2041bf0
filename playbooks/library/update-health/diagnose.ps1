# Gathers the facts about this PC's updating: the health of the component store, the services, what
# waits for a restart, what Windows Update last failed with, and how large its cache is. Changes
# nothing, and looks at no system file (sfc takes too long for a diagnosis).
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors; each is bounded in time. Nothing here
# reads text that Windows translates.
param($Params)

#include probe.ps1
#include restart-safety.ps1
#include updates.ps1
#include update-components.ps1

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}
$os = Invoke-Probe 'os' { Get-WindowsBuild }
if ($null -eq $os) { $os = [PSCustomObject][ordered]@{ build = $null; ubr = $null } }

$store = Invoke-Probe 'store' { Get-StoreHealth }
$services = Invoke-Probe 'services' { Get-UpdateServices }
$servicing = Invoke-Probe 'servicing' { Get-ServicingWork }
if ($null -eq $servicing) { $servicing = [PSCustomObject][ordered]@{ exclusive = $null; worker_busy = $null } }
# A repair that a lost session has left running on the PC.
$own = Invoke-Probe 'servicing' {
    $tasks = 'SOFTWARE\fleetmend\Tasks\'
    (Test-MachineKey ($tasks + 'fleetmend-restore-health')) -or (Test-MachineKey ($tasks + 'fleetmend-system-files'))
}
$waits = [PSCustomObject][ordered]@{ servicing = $null; windows_update = $null }
$pending = Invoke-Probe 'pending' { Get-PendingRestart }
if ($null -ne $pending) {
    $waits.servicing = $pending.servicing
    $waits.windows_update = $pending.windows_update
}
$pause = Invoke-Probe 'pause' { Get-UpdatePause }
if ($null -eq $pause) { $pause = [PSCustomObject][ordered]@{ seconds_left = $null; wsus = $null; policy = $null } }
$cache = Invoke-Probe 'cache' { Measure-Cache }
if ($null -eq $cache) { $cache = [PSCustomObject][ordered]@{ megabytes = $null; whole = $null } }
$history = Invoke-Probe 'history' { Get-UpdateHistory ([int]$Params.days) }
if ($null -eq $history) { $history = [PSCustomObject][ordered]@{ failures = $null; last_success_seconds_ago = $null } }

[PSCustomObject][ordered]@{
    elevated = $elevated
    os = $os
    store_health = $store
    services = $services
    servicing = $servicing
    own_task = $own
    pending = $waits
    pause = $pause
    cache = $cache
    history = $history
    probe_errors = $ProbeErrors.ToArray()
}
