# Has the power plan in force never go to sleep or hibernate by itself while on mains. Run twice it
# does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: no-sleep.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1

# By GUIDs: the subgroup of sleep, in it STANDBYIDLE and HIBERNATEIDLE. The word for the plan in
# force is an alias that Windows does not translate.
function Set-PlanValue([string]$Setting) {
    $start = New-ToolStart 'powercfg.exe'
    $start.Arguments = '/setacvalueindex SCHEME_CURRENT 238c9fa8-0aad-41ed-83f4-97be242c8f20 ' + $Setting + ' 0'
    return Invoke-Tool $start 15000
}

$standby = Invoke-Probe 'standby' { Set-PlanValue '29f6c1db-86da-48c5-9fdb-f2b67b1f44da' }
$hibernate = Invoke-Probe 'hibernate' { Set-PlanValue '9d7815a6-7ee4-497e-8888-515a05f02364' }
$active = Invoke-Probe 'activate' {
    # Values of a plan count from when it is chosen.
    $start = New-ToolStart 'powercfg.exe'
    $start.Arguments = '/setactive SCHEME_CURRENT'
    Invoke-Tool $start 15000
}

[PSCustomObject][ordered]@{
    standby_exit_code = $standby
    hibernate_exit_code = $hibernate
    activate_exit_code = $active
    probe_errors = $ProbeErrors.ToArray()
}
