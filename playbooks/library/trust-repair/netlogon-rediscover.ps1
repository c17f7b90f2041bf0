# Restarts Netlogon and makes the PC look for a domain controller afresh. The secret stays as it
# is. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: netlogon-rediscover.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include restart-netlogon.ps1

$domain = [string]$Params.domain
$running = Restart-Netlogon

$found = Invoke-Probe 'locate' { Find-DomainController $domain 30000 }
if ($null -eq $found) { $found = @{ error = $null; name = $null; address = $null } }

$pinned = $null
if ($Params.domain_controller) {
    $target = $domain + '\' + [string]$Params.domain_controller
    $answer = Invoke-Probe 'pin' { Invoke-Netlogon 'sc_reset' 5 $target 40000 }
    if ($null -ne $answer) {
        $pinned = $answer.connection_status
        if ($null -ne $answer.control_error) { $pinned = $answer.control_error }
    }
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    running = $running
    locate_error = $found.error
    dc = $found.name
    pin_status = $pinned
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
