# Issues a certificate for a kiosk, on the PC that may, and answers it sealed.

param($Params)

#include probe.ps1

$admin = New-Object System.Security.SecureString
foreach ($character in $Params.admin.password.ToCharArray()) { $admin.AppendChar($character) }
$credentialError = 0
$issued = $false
$thumbprint = $null
$made = $null
try {
    $credential = New-Object System.Management.Automation.PSCredential $Params.admin.user, $admin
    $request = @{ Template = $Params.template; SubjectName = ('CN=' + $Params.computer); Credential = $credential; CertStoreLocation = 'Cert:\LocalMachine\My' }
    $answer = Invoke-BoundedCmdlet 'Get-Certificate' $request 120000
    $issued = [int]$answer.Status -eq 1
    if ($issued) {
        $certificate = $answer.Certificate
        $thumbprint = [string]$certificate.Thumbprint
        $made = [Convert]::ToBase64String($certificate.Export('Pfx', $Params.password))
    }
} catch {
    $code = Get-ErrorCode $_
    if (@(1326, 1331, 1909) -notcontains $code) { throw }
    $credentialError = [long]$code
}

[PSCustomObject][ordered]@{
    credential_error = $credentialError
    issued = $issued
    thumbprint = $thumbprint
    made = $made
}
