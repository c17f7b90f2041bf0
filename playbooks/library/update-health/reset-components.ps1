# Sets the components of Windows Update back: stops its services, deletes the queue of transfers, puts
# the cache and the catalogs aside (what was put aside before is deleted), and starts the services
# again. Windows makes all of it anew. Leaves Winsock and the services' own rights alone. Run twice
# it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: reset-components.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1

Add-Type -AssemblyName System.ServiceProcess

# In this order, and back.
$services = @('bits', 'wuauserv', 'cryptsvc')
$stopped = New-Object System.Collections.ArrayList
$aside = New-Object System.Collections.ArrayList
$deleted = 0

# Puts a folder aside; what stood there from before goes.
function Move-Aside([string]$Path) {
    if (-not (Test-Path -LiteralPath $Path)) { return $false }
    $other = $Path + '.fleetmend-old'
    if (Test-Path -LiteralPath $other) {
        $null = Invoke-BoundedCmdlet 'Remove-Item' @{ LiteralPath = $other; Recurse = $true; Force = $true } 90000
    }
    [System.IO.Directory]::Move($Path, $other)
    return $true
}

# Stopping a service stops those that need it, as AppLocker's needs cryptsvc; those that ran are
# started again below.
$dependents = New-Object System.Collections.ArrayList
foreach ($name in $services) {
    $needing = Invoke-Probe 'dependents' { @((Get-Service -Name $name).DependentServices) }
    foreach ($service in @($needing)) {
        if ($null -eq $service -or $services -contains $service.ServiceName) { continue }
        if ($service.Status -eq [System.ServiceProcess.ServiceControllerStatus]::Running) { [void]$dependents.Add($service) }
    }
}

try {
    foreach ($name in $services) {
        $down = Invoke-Probe 'stop' {
            $null = Invoke-BoundedCmdlet 'Stop-Service' @{ Name = $name; Force = $true } 60000
            $true
        }
        if ($down -eq $true) { [void]$stopped.Add($name) }
    }
    if ($stopped.Count -eq $services.Count) {
        $queue = Join-Path $env:ProgramData 'Microsoft\Network\Downloader'
        foreach ($file in @(Get-ChildItem -LiteralPath $queue -Filter 'qmgr*' -ErrorAction SilentlyContinue)) {
            $gone = Invoke-Probe 'queue' { [System.IO.File]::Delete($file.FullName); $true }
            if ($gone -eq $true) { $deleted++ }
        }
        $cache = Join-Path $env:SystemRoot 'SoftwareDistribution'
        $catalogs = Join-Path $env:SystemRoot 'System32\catroot2'
        foreach ($path in @((Join-Path $cache 'DataStore'), (Join-Path $cache 'Download'), $catalogs)) {
            $moved = Invoke-Probe 'aside' { Move-Aside $path }
            if ($moved -eq $true) { [void]$aside.Add([System.IO.Path]::GetFileName($path)) }
        }
    }
} finally {
    # Windows Update and its transfers start on demand.
    foreach ($name in 'cryptsvc', 'wuauserv') {
        $null = Invoke-Probe 'start' { Invoke-BoundedCmdlet 'Start-Service' @{ Name = $name } 60000 }
    }
    # Windows lists them in the order in which they must stop, so they start from the last.
    for ($i = $dependents.Count - 1; $i -ge 0; $i--) {
        $null = Invoke-Probe 'dependents' {
            $dependents[$i].Refresh()
            # Start only asks; that they come up is not waited for.
            if ($dependents[$i].Status -eq [System.ServiceProcess.ServiceControllerStatus]::Stopped) { $dependents[$i].Start() }
        }
    }
}
$reset = $stopped.Count -eq $services.Count -and @($ProbeErrors | Where-Object { $_.probe -eq 'aside' }).Count -eq 0

[PSCustomObject][ordered]@{
    reset = $reset
    stopped = $stopped.ToArray()
    deleted = $deleted
    aside = $aside.ToArray()
    probe_errors = $ProbeErrors.ToArray()
}
