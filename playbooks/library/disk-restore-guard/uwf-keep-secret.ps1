# Lets the Unified Write Filter write the machine password through to the disk, from the next start
# on. The filter keeps its settings itself, past what it filters. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: uwf-keep-secret.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include uwf.ps1

$before = Invoke-Probe 'keep' {
    $next = Get-UwfRegistryFilter $false
    # ERROR_NOT_SUPPORTED
    if ($null -eq $next) { throw (New-Object System.ComponentModel.Win32Exception 50) }
    $was = [bool]$next.PersistDomainSecretKey
    Set-CimInstance -InputObject $next -Property @{ PersistDomainSecretKey = $true } -OperationTimeoutSec 15
    $was
}
$after = Invoke-Probe 'keep' {
    $next = Get-UwfRegistryFilter $false
    if ($null -ne $next) { [bool]$next.PersistDomainSecretKey }
}

[PSCustomObject][ordered]@{
    done = $after -eq $true
    before = $before
    probe_errors = $ProbeErrors.ToArray()
}
