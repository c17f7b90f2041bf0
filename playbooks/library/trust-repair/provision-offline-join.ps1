# Runs on a provisioning PC, a healthy member of the domain: makes the offline join blob for
# another PC (djoin /provision /reuse). The account of that PC gets a new password, which the blob
# holds; until the blob is used there, that PC is further off than before. Run twice it makes
# another blob, and the one before is void.
#
# As the operator's account, by impersonation for the network only: no file, no command line and no
# delegation is needed. The blob goes to the controller and is kept nowhere.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: provision-offline-join.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include provision.ps1

# Win32 codes with which a domain refuses a credential itself.
$Refusals = @(1326, 1327, 1330, 1331, 1385, 1907, 1909)

# DOMAIN\user in two parts; user@domain is whole without a domain.
$parts = @([string]$Params.joiner.user -split '\\', 2)
$user = $parts[-1]
$userDomain = $null
if ($parts.Count -eq 2) { $userDomain = $parts[0] }

$answer = $null
$text = $null
try {
    $text = Invoke-Probe 'provision' {
        Import-ProvisionApi
        New-Object Fleetmend.ProvisionText 256
    }
    if ($null -ne $text) {
        for ($i = 0; $i -lt $Params.joiner.password.Length; $i++) { $text.Append($Params.joiner.password[$i]) }
        $answer = Invoke-Probe 'provision' {
            [Fleetmend.Provision]::Make(
                [string]$Params.domain, [string]$Params.computer, [string]$Params.ou,
                [string]$Params.domain_controller, $user, $userDomain, $text)
        }
    }
} finally {
    if ($null -ne $text) { $text.Dispose() }
}

$made = $null
$code = $null
$refused = $null
if ($null -ne $answer) {
    $code = $answer.Code
    if ($null -eq $code) { $code = $answer.Logon }
    if ($null -ne $code) { $code = [long]$code }
    # The domain has looked at the credential if the call came as far as an account.
    if ($Refusals -contains $code) { $refused = $code }
    if ($code -eq 0) {
        $refused = 0L
        $made = $answer.Made
    }
}

[PSCustomObject][ordered]@{
    provisioned = $null -ne $made
    code = $code
    credential_error = $refused
    dc = ([string]$Params.domain_controller).ToLowerInvariant()
    made = $made
    probe_errors = $ProbeErrors.ToArray()
}
