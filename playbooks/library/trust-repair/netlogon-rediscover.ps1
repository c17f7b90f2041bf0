# Restarts Netlogon and makes the PC look for a domain controller afresh. The secret stays as it
# is. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: netlogon-rediscover.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include netlogon.ps1

$domain = [string]$Params.domain
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

$found = Invoke-Probe 'locate' { Find-DomainController $domain 30000 }
if ($null -eq $found) { $found = @{ error = $null; name = $null; address = $null } }

$pinned = $null
if ($Params.domain_controller) {
    $target = $domain + '\' + [string]$Params.domain_controller
    $answer = Invoke-Probe 'pin' { Invoke-Netlogon 'sc_reset' 5 $target 40000 }
    if ($null -ne $answer) {
        $pinned = $answer.connection_status
        if ($null -ne $answer.control_error) { $pinned = $answer.control_error }
    }
}

# Verify counts what Netlogon complains of after this.
$record = Invoke-Probe 'events' { Get-LastRecordId }

[PSCustomObject][ordered]@{
    running = $running
    locate_error = $found.error
    dc = $found.name
    pin_status = $pinned
    event_record_id = $record
    probe_errors = $ProbeErrors.ToArray()
}
