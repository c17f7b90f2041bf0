# Gives a local administrator of the kiosk's image the password that is to be used.

param($Params)

#include probe.ps1

$name = $Params.account.user.Split('\')[-1]
$password = New-Object System.Security.SecureString
foreach ($character in $Params.account.password.ToCharArray()) { $password.AppendChar($character) }
$found = Get-LocalUser | Where-Object { $_.Name -eq $name } | Select-Object -First 1
$usable = $null -ne $found
if ($usable) {
    $found | Set-LocalUser -Password $password
    $found | Enable-LocalUser
}

[PSCustomObject][ordered]@{
    usable = $usable
}
