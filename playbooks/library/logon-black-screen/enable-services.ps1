# Lets services that the shell needs start as they do where Windows comes: ProfSvc and UserManager by
# themselves, the others when they are asked for. How they started before is in the answer. Run twice
# it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: enable-services.takes.json and .gives.json.
# Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include winlogon.ps1

$done = New-Object System.Collections.ArrayList
foreach ($name in @($Params.services)) {
    $result = [PSCustomObject][ordered]@{ name = [string]$name; start_before = $null; start = $null }
    $path = 'SYSTEM\CurrentControlSet\Services\' + $result.name
    $null = Invoke-Probe 'enable' {
        $result.start_before = [int](Get-MachineValue $path 'Start')
        $type = 'Manual'
        if ('ProfSvc', 'UserManager' -contains $result.name) { $type = 'Automatic' }
        $null = Invoke-BoundedCmdlet 'Set-Service' @{ Name = $result.name; StartupType = $type } 10000
    }
    $null = Invoke-Probe 'read' { $result.start = [int](Get-MachineValue $path 'Start') }
    [void]$done.Add($result)
}

[PSCustomObject][ordered]@{
    services = $done.ToArray()
    probe_errors = $ProbeErrors.ToArray()
}
