# Waits until the PC, restarted after a join, finds its domain; binds its channel to the controller
# at which it was joined, for the others may not know of it yet; and forgets what it noted when it
# was taken out of the domain.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: after-restart.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include left-domain.ps1

$domain = [string]$Params.domain
$server = [string]$Params.domain_controller
$status = $null
$member = $null
$clock = [System.Diagnostics.Stopwatch]::StartNew()
do {
    if ($null -ne $status) { Start-Sleep -Seconds 5 }
    $answer = Invoke-Probe 'pin' { Invoke-Netlogon 'sc_reset' 5 ($domain + '\' + $server) 20000 }
    # ERROR_TIMEOUT, if nothing came back.
    $status = 1460L
    if ($null -ne $answer) {
        $status = $answer.connection_status
        if ($null -ne $answer.control_error) { $status = $answer.control_error }
    }
} while ($status -ne 0 -and $clock.ElapsedMilliseconds -lt 60000)

$member = Invoke-Probe 'computer' {
    [bool](Get-CimInstance -ClassName Win32_ComputerSystem -OperationTimeoutSec 10).PartOfDomain
}
if ($member -eq $true) { $null = Invoke-Probe 'note' { Clear-LeftDomain } }

# Verify counts what Netlogon complains of after this: until the network is there, it does.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    part_of_domain = $member
    pin_status = $status
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
