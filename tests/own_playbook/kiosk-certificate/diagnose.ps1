# Tells what certificate a kiosk shows to its network.

param($Params)

#include probe.ps1

$kiosk = Invoke-Probe 'kiosk' {
    $mark = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Example\Kiosk')
    $null -ne $mark
}
$name = [string]$env:COMPUTERNAME
$site = Invoke-Probe 'site' {
    $key = 'HKLM:\SYSTEM\CurrentControlSet\Services\Netlogon\Parameters'
    [string](Get-ItemProperty -LiteralPath $key -Name DynamicSiteName).DynamicSiteName
}
$storeCode = 0
$found = $null
$usable = $null
$daysLeft = $null
$presented = $null
try {
    $store = New-Object System.Security.Cryptography.X509Certificates.X509Store 'My', 'LocalMachine'
    $store.Open('ReadOnly')
    $found = $false
    foreach ($certificate in $store.Certificates) {
        # Certificate Template Information, and the older name of a template
        $template = $certificate.Extensions | Where-Object { @('1.3.6.1.4.1.311.21.7', '1.3.6.1.4.1.311.20.2') -contains $_.Oid.Value } | Select-Object -First 1
        if ($null -eq $template -or -not $template.Format($false).Contains($Params.template)) { continue }
        $found = $true
        $left = [long][math]::Floor(($certificate.NotAfter - [datetime]::Now).TotalDays)
        # The one that lasts longest counts.
        if ($null -ne $daysLeft -and $left -lt $daysLeft) { continue }
        $usable = [bool]$certificate.HasPrivateKey
        $daysLeft = $left
    }
    $store.Close()
} catch {
    $storeCode = [long](Get-ErrorCode $_)
}
if ($found) {
    $presented = Invoke-Probe 'presented' {
        $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SOFTWARE\Example\Kiosk')
        $installed = [long]$key.GetValue('Installed', 0)
        $system = Get-CimInstance -ClassName Win32_OperatingSystem -OperationTimeoutSec 15
        $system.LastBootUpTime.ToFileTimeUtc() -gt $installed
    }
}
$errors = @($ProbeErrors)

[PSCustomObject][ordered]@{
    kiosk = $kiosk
    name = $name
    site = $site
    store_code = $storeCode
    found = $found
    usable = $usable
    days_left = $daysLeft
    presented = $presented
    errors = $errors
}
