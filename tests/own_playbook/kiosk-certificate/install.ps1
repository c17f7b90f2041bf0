# Puts a sealed certificate into the machine's store.

param($Params)

#include probe.ps1

$bytes = [Convert]::FromBase64String($Params.pfx)
$certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2
$certificate.Import($bytes, $Params.password, 'MachineKeySet, PersistKeySet')
$store = New-Object System.Security.Cryptography.X509Certificates.X509Store 'My', 'LocalMachine'
$store.Open('ReadWrite')
$store.Add($certificate)
$store.Close()
$installed = $certificate.HasPrivateKey -and $certificate.Thumbprint -eq $Params.thumbprint
if ($installed) {
    # From the next start on the network is shown it: diagnose compares.
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\Example\Kiosk')
    $key.SetValue('Installed', [datetime]::UtcNow.ToFileTimeUtc(), [Microsoft.Win32.RegistryValueKind]::QWord)
    $key.Close()
}

[PSCustomObject][ordered]@{
    installed = $installed
}
