# Sets the secure channel up again with the secret that the PC has, to a named controller if one
# is given (nltest /sc_reset:DOMAIN\CONTROLLER). Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: sc-reset.takes.json, sc-reset.gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1

$target = [string]$Params.domain
if ($Params.domain_controller) { $target = $target + '\' + [string]$Params.domain_controller }

$answer = Invoke-Probe 'reset' { Invoke-Netlogon 'sc_reset' 5 $target 60000 }
if ($null -eq $answer) {
    $answer = @{ tool = $null; exit_code = $null; control_error = $null; connection_status = $null; dc = $null }
}
# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    tool = $answer.tool
    exit_code = $answer.exit_code
    control_error = $answer.control_error
    connection_status = $answer.connection_status
    dc = $answer.dc
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
