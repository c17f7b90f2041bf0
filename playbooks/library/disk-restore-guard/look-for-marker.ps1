# Looks whether the marker of plant-marker.ps1 is still there, and takes it away.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: look-for-marker.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include marker.ps1

$wanted = [string]$Params.marker
$registry = Invoke-Probe 'registry' { (Get-RegistryMarker) -eq $wanted }
$file = Invoke-Probe 'file' { (Get-FileMarker) -eq $wanted }
$null = Invoke-Probe 'clean' {
    $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($MarkerKey, $true)
    if ($null -ne $key) {
        try { $key.DeleteValue('Marker', $false) } finally { $key.Close() }
    }
    # No error where there is none.
    if ([System.IO.Directory]::Exists($MarkerFolder)) { [System.IO.File]::Delete($MarkerFile) }
}
$cleaned = Invoke-Probe 'clean' { $null -eq (Get-RegistryMarker) -and $null -eq (Get-FileMarker) }

[PSCustomObject][ordered]@{
    registry = $registry
    file = $file
    cleaned = $cleaned -eq $true
    probe_errors = $ProbeErrors.ToArray()
}
