# Gives the PC a new machine password: Test-ComputerSecureChannel -Repair, with a domain
# credential, at a named controller. The cmdlet sets 120 random characters in Active Directory
# first and in the PC's own LSA second; if it is cut between the two the PC is further off than
# before, and running this again mends that. So it is safe to run twice.
#
# A wrong password is spent once: the credential is first tried with one LDAP logon, and only if
# the controller accepts it does the cmdlet run. The answer's credential_error tells.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: secure-channel-repair.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include credential.ps1

$domain = [string]$Params.domain
$server = [string]$Params.domain_controller

# The password comes as data on standard input, is never in an argument, a file or the
# environment, and lives in this process only. Character by character, not by ConvertTo-SecureString:
# module logging (event 4103) would write down that cmdlet's argument.
$secret = New-Object System.Security.SecureString
foreach ($character in ([string]$Params.domain_credential.password).ToCharArray()) {
    $secret.AppendChar($character)
}
$secret.MakeReadOnly()
$credential = New-Object System.Management.Automation.PSCredential ([string]$Params.domain_credential.user), $secret

# 0: accepted. Null: the controller could not be asked.
$refused = Invoke-Probe 'credential' { Test-Credential $server $credential.GetNetworkCredential() }

$repaired = $null
$failedId = $null
$failedCode = $null
if ($refused -eq 0) {
    try {
        $said = @(Test-ComputerSecureChannel -Repair -Server $server -Credential $credential -Confirm:$false)
        $repaired = $said.Count -eq 1 -and $said[0] -eq $true
    } catch {
        $failedId = Get-ErrorId $_
        $failedCode = Get-ErrorCode $_
    }
}

# The new password may not have reached the other controllers: bind the channel to this one.
$pinned = $null
if ($null -ne $repaired) {
    $answer = Invoke-Probe 'pin' { Invoke-Netlogon 'sc_reset' 5 ($domain + '\' + $server) 40000 }
    if ($null -ne $answer) {
        $pinned = $answer.connection_status
        if ($null -ne $answer.control_error) { $pinned = $answer.control_error }
    }
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    repaired = $repaired
    error_id = $failedId
    error_code = $failedCode
    credential_error = $refused
    pin_status = $pinned
    dc = $server.ToLowerInvariant()
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
