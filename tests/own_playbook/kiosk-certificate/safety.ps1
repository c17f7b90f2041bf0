# Tells whether this kiosk may be restarted.

param($Params)

#include probe.ps1
#include restart-safety.ps1
#include write-filter.ps1

$people = Get-SignedInUsers
$users = $people.active + $people.disconnected
$filter = Get-WriteFilter
$writeFilter = $filter.uwf_enabled -eq $true -or @($filter.products).Count -gt 0

[PSCustomObject][ordered]@{
    users = $users
    write_filter = $writeFilter
}
