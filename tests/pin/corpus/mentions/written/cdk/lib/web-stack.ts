import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as codebuild from 'aws-cdk-lib/aws-codebuild';

const TAG = 'v1';
export class WebStack extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    // image: ecs.ContainerImage.fromRegistry('commented/out:1')
    task.addContainer('web', { image: ecs.ContainerImage.fromRegistry('amazon/amazon-ecs-sample') });
    task.addContainer('side', {
      image: ecs.ContainerImage.fromRegistry(
        `acme/side:${TAG}`,
      ),
    });
    new codebuild.Project(this, 'b', {
      environment: { buildImage: codebuild.LinuxBuildImage.fromDockerRegistry("golang:1.22") },
    });
  }
}
