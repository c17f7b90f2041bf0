# Takes the PC out of its domain and puts it into a workgroup; in force after a restart. The
# computer account is not touched. What the domain was is noted on the PC first, for a run that is
# cut before the PC is back. Run twice it does the same again.
#
# Nothing is done unless the controller accepts the credential with which the PC shall come back.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: leave-domain.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include membership.ps1
#include left-domain.ps1
#include credential.ps1
#include joiner.ps1

$server = [string]$Params.domain_controller
$code = $null
$workgroup = $null
$refused = $null
$joiner = New-Joiner ([string]$Params.joiner.user)
try {
    for ($i = 0; $i -lt $Params.joiner.password.Length; $i++) { $joiner.secure.AppendChar($Params.joiner.password[$i]) }
    # 0: accepted. Null: the controller could not be asked.
    $refused = Invoke-Probe 'credential' { Test-Joiner $server $joiner }
} finally {
    Remove-Joiner $joiner
}
if ($refused -eq 0) {
    $noted = Invoke-Probe 'note' {
        Set-LeftDomain ([string]$Params.domain) ([string]$Params.ou) $server
        $true
    }
    if ($noted -eq $true) {
        $code = Invoke-Probe 'leave' { [long][Fleetmend.Membership]::Leave() }
        # Refused, it is a member still: a note that stays would have it joined again should somebody
        # take it out on purpose. Not to be told is no refusal.
        if ($null -ne $code -and $code -ne 0) { $null = Invoke-Probe 'note' { Clear-LeftDomain } }
    }
}
if ($code -eq 0) {
    # The PC is out whatever its workgroup is called.
    $workgroup = Invoke-Probe 'workgroup' { [long][Fleetmend.Membership]::Workgroup([string]$Params.workgroup) }
}

[PSCustomObject][ordered]@{
    left = $code -eq 0
    code = $code
    workgroup_code = $workgroup
    credential_error = $refused
    probe_errors = $ProbeErrors.ToArray()
}
