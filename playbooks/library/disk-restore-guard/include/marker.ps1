# A marker that tells whether changes outlive a restart: a value of the registry and a file. Each
# holds a name of its own and when Windows had started as it was written.

$MarkerKey = 'SOFTWARE\fleetmend\DiskRestoreGuard'
$MarkerFolder = Join-Path $env:ProgramData 'fleetmend'
$MarkerFile = Join-Path $MarkerFolder 'disk-restore-guard.marker'

# Reads the marker of the registry; null where there is none.
function Get-RegistryMarker {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($MarkerKey)
    if ($null -eq $opened) { return $null }
    try { return $opened.GetValue('Marker') } finally { $opened.Close() }
}

# Reads the file; null where there is none.
function Get-FileMarker {
    if (-not [System.IO.File]::Exists($MarkerFile)) { return $null }
    return [System.IO.File]::ReadAllText($MarkerFile)
}

# Returns when Windows started, in seconds since 1970 by its clock.
function Get-StartTime {
    $booted = (Get-CimInstance -ClassName Win32_OperatingSystem -OperationTimeoutSec 10).LastBootUpTime
    return [long][Math]::Floor(($booted.ToFileTimeUtc() - 116444736000000000) / 10000000.0)
}
