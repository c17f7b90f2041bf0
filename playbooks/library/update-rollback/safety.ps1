# Tells what must be known before this PC is restarted. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: safety.takes.json and .gives.json. A probe
# that fails yields null and an entry in probe_errors; the guards hold null for no. Nothing here
# reads text that Windows translates.
param($Params)

#include probe.ps1
#include restart-safety.ps1
#include freeze-signs.ps1
#include write-filter.ps1

$users = Invoke-Probe 'users' { Get-SignedInUsers }
if ($null -eq $users) { $users = [PSCustomObject][ordered]@{ active = $null; disconnected = $null } }
$pending = Invoke-Probe 'pending' { Get-PendingRestart }
if ($null -eq $pending) { $pending = [PSCustomObject][ordered]@{ join = $null; rename = $null; shutting_down = $null } }
$join = $pending.join
$rename = $pending.rename
$down = $pending.shutting_down
$power = Invoke-Probe 'power' { Get-Power }
if ($null -eq $power) { $power = [PSCustomObject][ordered]@{ on_battery = $null; percent = $null; low = $null } }
$protection = Invoke-Probe 'bitlocker' { Get-BitLockerProtection }
$filter = Invoke-Probe 'write-filter' { Get-WriteFilter }
if ($null -eq $filter) { $filter = [PSCustomObject][ordered]@{ uwf_enabled = $null; products = $null } }

[PSCustomObject][ordered]@{
    users = $users
    join_waits = $join
    rename_waits = $rename
    shutting_down = $down
    power = $power
    bitlocker_protection = $protection
    write_filter = $filter
    probe_errors = $ProbeErrors.ToArray()
}
