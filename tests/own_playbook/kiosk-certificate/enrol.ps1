# Enrols at the enrolment service with an account.

param($Params)

#include probe.ps1

$password = New-Object System.Security.SecureString
foreach ($character in $Params.account.password.ToCharArray()) { $password.AppendChar($character) }
$credentialError = 0
$enrolled = $false
try {
    $credential = New-Object System.Management.Automation.PSCredential $Params.account.user, $password
    $request = @{ Template = $Params.template; Url = $Params.url; Credential = $credential; CertStoreLocation = 'Cert:\LocalMachine\My' }
    $answer = Invoke-BoundedCmdlet 'Get-Certificate' $request 120000
    $enrolled = [int]$answer.Status -eq 1
} catch {
    $code = Get-ErrorCode $_
    # ERROR_LOGON_FAILURE, ERROR_ACCOUNT_DISABLED, ERROR_ACCOUNT_LOCKED_OUT
    if (@(1326, 1331, 1909) -notcontains $code) { throw }
    $credentialError = [long]$code
}

[PSCustomObject][ordered]@{
    credential_error = $credentialError
    enrolled = $enrolled
}
