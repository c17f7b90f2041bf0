# Writes a marker into the registry and into a file, and sees it onto the disk. After a restart
# look-for-marker.ps1 tells whether it is still there. Run twice it writes another.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: plant-marker.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include marker.ps1

$started = Invoke-Probe 'start' { Get-StartTime }
$marker = $null
$registry = $null
$file = $null
if ($null -ne $started) {
    $marker = [Guid]::NewGuid().ToString('N') + ' ' + $started
    $registry = Invoke-Probe 'registry' {
        $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($MarkerKey)
        try {
            $key.SetValue('Marker', $marker)
            $key.Flush()
        } finally {
            $key.Close()
        }
        (Get-RegistryMarker) -eq $marker
    }
    $file = Invoke-Probe 'file' {
        [void][System.IO.Directory]::CreateDirectory($MarkerFolder)
        $bytes = [System.Text.Encoding]::ASCII.GetBytes($marker)
        $stream = New-Object System.IO.FileStream $MarkerFile, ([System.IO.FileMode]::Create), ([System.IO.FileAccess]::Write)
        try {
            $stream.Write($bytes, 0, $bytes.Length)
            # Past Windows' own cache.
            $stream.Flush($true)
        } finally {
            $stream.Dispose()
        }
        (Get-FileMarker) -eq $marker
    }
}

[PSCustomObject][ordered]@{
    marker = $marker
    registry = $registry -eq $true
    file = $file -eq $true
    probe_errors = $ProbeErrors.ToArray()
}
