# Gathers what is known of the named updates on this PC: whether they are installed, by which packages,
# and what stands in the way of removing them. Changes nothing.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: diagnose.takes.json, diagnose.gives.json.
# A probe that fails yields null and an entry in probe_errors; each is bounded in time. Nothing here
# reads text that Windows translates.
param($Params)

#include probe.ps1
#include restart-safety.ps1
#include updates.ps1

# States in which nothing of a package is in force: absent, resolving, resolved, staging, staged.
$NotInstalled = @(0, 16, 32, 48, 64)

$elevated = Invoke-Probe 'elevation' {
    $principal = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
    # False for an administrator whose token UAC has filtered.
    $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

$targets = [PSCustomObject][ordered]@{ valid = $true; kbs = @(); build = $null }
$kbs = New-Object System.Collections.ArrayList
if ($Params.kb) {
    foreach ($part in ([string]$Params.kb).Split(',')) {
        if ($part.Trim() -match '^(KB)?(\d{6,8})\z') {
            $kb = 'KB' + $Matches[2]
            if (-not $kbs.Contains($kb)) { [void]$kbs.Add($kb) }
        } else {
            $targets.valid = $false
        }
    }
}
$targets.kbs = $kbs.ToArray()
if ($Params.build) {
    if ([string]$Params.build -match '^\d{4,6}\.\d{1,6}\z') {
        $targets.build = [string]$Params.build
    } else {
        $targets.valid = $false
    }
}

$os = Invoke-Probe 'os' { Get-WindowsBuild }
if ($null -eq $os) { $os = [PSCustomObject][ordered]@{ build = $null; ubr = $null } }

$packages = $null
$newest = $null
$all = Invoke-Probe 'packages' { Get-UpdatePackages }
if ($null -ne $all -and $targets.valid) {
    $found = New-Object System.Collections.ArrayList
    foreach ($package in @($all)) {
        if ($NotInstalled -contains $package.state) { continue }
        $version = $package.version.Split('.')
        # Of what is in force, not of what is about to go.
        if ($package.kind -eq 'cumulative' -and $package.state -ge 101 -and $version.Count -ge 2) {
            $revision = [long]$version[1]
            if ($null -eq $newest -or $revision -gt $newest) { $newest = $revision }
        }
        # Cumulative ones do not have their number in the name.
        $manifest = Invoke-Probe 'manifests' { Read-PackageManifest $package.name }
        if ($null -ne $manifest) {
            if ($null -eq $package.kb) { $package.kb = $manifest.kb }
            $package.permanent = $manifest.permanent
        }
        $wanted = $null -ne $package.kb -and $kbs.Contains($package.kb)
        if ($null -ne $targets.build -and $package.kind -eq 'cumulative' -and $version.Count -ge 2) {
            if (($version[0] + '.' + $version[1]) -eq $targets.build) { $wanted = $true }
            # A Windows that an enablement package made has the packages of the one before.
            $own = [string]$os.build + '.' + [string]$os.ubr
            if ($own -eq $targets.build -and $version[1] -eq [string]$os.ubr) { $wanted = $true }
        }
        if ($wanted) { [void]$found.Add($package) }
    }
    $packages = $found.ToArray()
}

# DISM's own word on those found: a list of objects, each with a number for its state.
if ($null -ne $packages -and $packages.Count -gt 0) {
    $dism = Invoke-Probe 'dism' { Invoke-BoundedCmdlet 'Get-WindowsPackage' @{ Online = $true } 120000 }
    foreach ($entry in @($dism)) {
        if ($null -eq $entry) { continue }
        foreach ($package in $packages) {
            if ($entry.PackageName -eq $package.name) { $package.dism_state = [int]$entry.PackageState }
        }
    }
}

$listed = $null
if ($targets.valid) {
    $listed = Invoke-Probe 'listed' {
        $ids = @(Get-CimInstance -ClassName Win32_QuickFixEngineering -Property HotFixID -OperationTimeoutSec 60 | ForEach-Object { [string]$_.HotFixID })
        @($kbs | Where-Object { $ids -contains $_ }).Count -gt 0
    }
}

$servicing = Invoke-Probe 'servicing' { Get-ServicingWork }
if ($null -eq $servicing) { $servicing = [PSCustomObject][ordered]@{ exclusive = $null; worker_busy = $null } }
# A removal that a lost session has left running on the PC.
$own = Invoke-Probe 'servicing' {
    $tasks = 'SOFTWARE\fleetmend\Tasks\'
    (Test-MachineKey ($tasks + 'fleetmend-update-removal')) -or (Test-MachineKey ($tasks + 'fleetmend-update-removal-wusa'))
}
$pending = Invoke-Probe 'pending' { Get-PendingRestart }
$waits = [PSCustomObject][ordered]@{ servicing = $null; windows_update = $null }
if ($null -ne $pending) {
    $waits.servicing = $pending.servicing
    $waits.windows_update = $pending.windows_update
}
$pause = Invoke-Probe 'pause' { Get-UpdatePause }
if ($null -eq $pause) { $pause = [PSCustomObject][ordered]@{ seconds_left = $null; wsus = $null; policy = $null } }
$history = Invoke-Probe 'history' { Get-UpdateHistory 30 }
if ($null -eq $history) { $history = [PSCustomObject][ordered]@{ failures = @(); last_success_seconds_ago = $null } }

[PSCustomObject][ordered]@{
    elevated = $elevated
    os = $os
    targets = $targets
    packages = $packages
    newest_revision = $newest
    listed = $listed
    servicing = $servicing
    own_task = $own
    pending = $waits
    pause = $pause
    history = $history
    probe_errors = $ProbeErrors.ToArray()
}
