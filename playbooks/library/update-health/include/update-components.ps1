# The parts that Windows updates itself with. Needs probe.ps1.

# Those that must not be disabled: Windows Update, its transfers, the catalogs, servicing, installer.
$UpdateServices = @('wuauserv', 'bits', 'cryptsvc', 'trustedinstaller', 'msiserver')

# Tells what servicing has noted of its component store, without a search: 0 healthy, 1 can be
# repaired, 2 cannot.
function Get-StoreHealth {
    $answer = @(Invoke-BoundedCmdlet 'Repair-WindowsImage' @{ Online = $true; CheckHealth = $true } 120000)
    return [int]$answer[0].ImageHealthState
}

# Reads state and start type of the services, as numbers.
function Get-UpdateServices {
    $answer = [PSCustomObject][ordered]@{}
    foreach ($name in $UpdateServices) {
        $facts = [PSCustomObject][ordered]@{ status = $null; start_type = $null }
        $service = @(Get-Service -Name $name -ErrorAction SilentlyContinue)
        if ($service.Count -eq 1) { $facts.status = [int]$service[0].Status }
        $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Services\' + $name)
        if ($null -ne $key) {
            try { $start = $key.GetValue('Start') } finally { $key.Close() }
            if ($null -ne $start) { $facts.start_type = [int]$start }
        }
        Add-Member -InputObject $answer -MemberType NoteProperty -Name $name -Value $facts
    }
    return $answer
}

# Adds up the files of Windows Update's cache for ten seconds at most; whole says whether that was
# enough.
function Measure-Cache {
    $folder = Join-Path $env:SystemRoot 'SoftwareDistribution'
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $bytes = 0.0
    $whole = $true
    $folders = New-Object System.Collections.Queue
    $folders.Enqueue((New-Object System.IO.DirectoryInfo $folder))
    while ($folders.Count -gt 0) {
        if ($watch.ElapsedMilliseconds -gt 10000) { $whole = $false; break }
        $next = $folders.Dequeue()
        try {
            foreach ($file in $next.GetFiles()) { $bytes += [double]$file.Length }
            foreach ($inner in $next.GetDirectories()) { $folders.Enqueue($inner) }
        } catch [System.UnauthorizedAccessException] {
            $whole = $false
        } catch [System.IO.IOException] {
            # It went away meanwhile.
            $whole = $false
        }
    }
    return [PSCustomObject][ordered]@{ megabytes = [long][Math]::Round($bytes / 1048576); whole = $whole }
}
