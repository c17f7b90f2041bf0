# Makes the password with which the certificate travels.

param($Params)

$bytes = New-Object byte[] 32
$random = [System.Security.Cryptography.RandomNumberGenerator]::Create()
$random.GetBytes($bytes)
$made = [Convert]::ToBase64String($bytes)

[PSCustomObject][ordered]@{
    sealed = $true
    made = $made
}
