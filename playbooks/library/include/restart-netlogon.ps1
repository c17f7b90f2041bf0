# Restarts Netlogon and what depends on it. Needs probe.ps1.

# Stops and starts Netlogon, each within a time, and starts again what ran on top of it. Yields
# whether Netlogon runs at the end; null where even that could not be told.
function Restart-Netlogon {
    Add-Type -AssemblyName System.ServiceProcess

    # Stopping Netlogon stops the services that need it; those that ran are started again below.
    $dependents = @(Invoke-Probe 'dependents' {
        @((Get-Service -Name Netlogon).DependentServices |
            Where-Object { $_.Status -eq [System.ServiceProcess.ServiceControllerStatus]::Running })
    })

    $null = Invoke-Probe 'restart' {
        $service = Get-Service -Name Netlogon
        if ($service.Status -ne [System.ServiceProcess.ServiceControllerStatus]::Stopped) {
            $service.Stop()
            $service.WaitForStatus([System.ServiceProcess.ServiceControllerStatus]::Stopped, [timespan]::FromSeconds(30))
        }
        $service.Start()
        $service.WaitForStatus([System.ServiceProcess.ServiceControllerStatus]::Running, [timespan]::FromSeconds(30))
    }
    # Whatever failed above: Netlogon must not be left stopped.
    $running = Invoke-Probe 'restart' {
        $service = Get-Service -Name Netlogon
        if ($service.Status -eq [System.ServiceProcess.ServiceControllerStatus]::Stopped) {
            $service.Start()
            $service.WaitForStatus([System.ServiceProcess.ServiceControllerStatus]::Running, [timespan]::FromSeconds(15))
        }
        $service.Refresh()
        $service.Status -eq [System.ServiceProcess.ServiceControllerStatus]::Running
    }
    # Windows lists them in the order in which they must stop, so they start from the last.
    for ($i = $dependents.Count - 1; $i -ge 0; $i--) {
        $null = Invoke-Probe 'dependents' {
            $dependents[$i].Refresh()
            # Start only asks; that they come up is not waited for.
            if ($dependents[$i].Status -eq [System.ServiceProcess.ServiceControllerStatus]::Stopped) { $dependents[$i].Start() }
        }
    }
    return $running
}
