# Joins the PC to the domain, at a named controller and with a domain credential: in place, while
# it is still a member, or from a workgroup. In force after a restart. An account that is there is
# kept, with its SID and groups. Run twice it does the same again.
#
# A wrong password is spent once: the credential is first tried with one LDAP logon, and only if
# the controller accepts it is anything joined. The answer's credential_error tells.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: join-domain.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include membership.ps1
#include credential.ps1
#include joiner.ps1

$server = [string]$Params.domain_controller
$joiner = New-Joiner ([string]$Params.joiner.user)
$code = $null
$refused = $null
$tries = 0
try {
    for ($i = 0; $i -lt $Params.joiner.password.Length; $i++) {
        $joiner.text.Append($Params.joiner.password[$i])
        $joiner.secure.AppendChar($Params.joiner.password[$i])
    }
    # 0: accepted. Null: the controller could not be asked, as for a moment after a restart; then no
    # password was spent, and it is asked again. A refusal is not.
    for ($asked = 0; $null -eq $refused -and $asked -lt 3; $asked++) {
        if ($asked -gt 0) { Start-Sleep -Seconds 10 }
        $refused = Invoke-Probe 'credential' { Test-Joiner $server $joiner }
    }
    # After a restart the network may take a moment, and a new account to be found:
    # ERROR_NO_SUCH_DOMAIN, ERROR_BAD_NETPATH, ERROR_NONE_MAPPED. A refusal is not tried again.
    while ($refused -eq 0 -and $tries -lt 3 -and ($null -eq $code -or @(1355, 53, 1332) -contains $code)) {
        if ($tries -gt 0) { Start-Sleep -Seconds 10 }
        $tries++
        $code = Invoke-Probe 'join' {
            Import-MembershipApi
            [long][Fleetmend.Membership]::Join(
                [string]$Params.domain, $server, [string]$Params.ou, $joiner.user, $joiner.text, [bool]$Params.in_place)
        }
        if ($null -eq $code) { break }
    }
} finally {
    Remove-Joiner $joiner
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    joined = $code -eq 0
    code = $code
    tries = $tries
    credential_error = $refused
    dc = $server.ToLowerInvariant()
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
