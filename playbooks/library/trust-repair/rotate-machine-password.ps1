# Has the PC change its machine password by itself (nltest /sc_change_pwd), so that nobody but PC
# and domain knows it: not even the controller that made the last one. Only a channel that works
# can carry the change, so it is proven first; if it is not, nothing is changed. That it fails
# leaves the PC as good as it was. Run twice it changes the password twice.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: rotate-machine-password.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include machine-secret.ps1

$domain = [string]$Params.domain
$server = ([string]$Params.domain_controller).ToLowerInvariant()

$verify = Invoke-Probe 'verify' { Invoke-Netlogon 'sc_verify' 10 $domain 40000 }
if ($null -eq $verify) {
    $verify = @{ control_error = $null; connection_status = $null; trust_status = $null; dc = $null }
}
$proven = $verify.connection_status -eq 0 -and $verify.trust_status -eq 0 -and
    $null -ne $verify.dc -and (Test-SameHost $verify.dc $server)

$code = $null
$moved = $null
if ($proven) {
    $before = Invoke-Probe 'set-time' { Get-MachineSecretTime }
    $answer = Invoke-Probe 'rotate' { Invoke-Netlogon 'sc_change_pwd' 9 $domain 60000 }
    if ($null -ne $answer) {
        $code = $answer.connection_status
        if ($null -ne $answer.control_error) { $code = $answer.control_error }
    }
    $after = Invoke-Probe 'set-time' { Get-MachineSecretTime }
    if ($null -ne $before -and $null -ne $after) { $moved = $after -gt $before }
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    # By Netlogon's number, and not against what the LSA says of the secret.
    rotated = $code -eq 0 -and $moved -ne $false
    attempted = $proven
    code = $code
    secret_moved = $moved
    control_error = $verify.control_error
    connection_status = $verify.connection_status
    trust_status = $verify.trust_status
    dc = $verify.dc
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
